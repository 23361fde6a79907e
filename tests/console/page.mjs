// What a person does with the console, in Debian's Chromium; tests/e2e/console_test.py starts the
// members' nodes and says on standard input where they are. Ends with 1 at the first thing that is not
// as it should be: also an error on the page's console, a breach of its policy, a request to anywhere else.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import assert from "node:assert/strict";

const told = JSON.parse(readFileSync(0, "utf8"));
const { chromium } = await import(told.playwright);
const axe = readFileSync(told.axe, "utf8");
const [alpha, beta] = told.members;

const flexroom = (member, ...words) => {
  const out = execFileSync(told.flexroom, ["--member", member.config, "--json", "--yes", ...words], { encoding: "utf8", timeout: 60000, stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(out.trim().split("\n").at(-1));
};
const propose = (member, what) => flexroom(member, "propose", "get", told.url + what).proposal;
const link = (member) => flexroom(member, "console").link;

const browser = await chromium.launch({ executablePath: told.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const wrong = [];
const allowed = []; // errors of Chromium's own that a test asks for

async function opened(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1120, height: 720 }, colorScheme: "light", locale: "en-GB", timezoneId: "UTC", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.on("console", (one) => { if (["error", "warning"].includes(one.type()) && !allowed.some((text) => one.text().includes(text))) wrong.push(`console: ${one.text()}`); });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => { if (!/^(http:\/\/localhost:\d+\/|blob:http:\/\/localhost)/.test(request.url())) wrong.push(`request to ${request.url()}`); });
  return page;
}
const signedIn = async (member, options) => {
  const page = await opened(options);
  await page.goto(link(member));
  await page.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
  return page;
};
const go = async (page, name) => {
  await page.getByRole("navigation").getByRole("link", { name: new RegExp(`^${name}`) }).click();
  await page.locator("main:not([aria-busy])").waitFor();
};
async function accessible(page, what) {
  const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
  const bad = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  assert.deepEqual(bad.map((one) => [what, one.id, one.nodes.map((node) => `${node.target} ${node.failureSummary}`)]), []);
}
async function fits(page, what) {
  const [wide, there] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= there, `${what}: ${wide} px on ${there}`);
}
async function picture(page, name) {
  if (!told.screenshots) return;
  mkdirSync(told.screenshots, { recursive: true });
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  await page.screenshot({ path: `${told.screenshots}/${name}.png`, scale: "css" });
}

const tests = {
  async "says how to sign in, and a link works once"() {
    const page = await opened();
    await page.goto(`http://localhost:${alpha.port}/`);
    await page.getByText("flexroom console", { exact: true }).waitFor();
    const address = link(alpha);
    await page.goto(address);
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
    assert.equal(await page.evaluate(() => location.href.includes("open=")), false);
    assert.equal(await page.evaluate(() => document.cookie + localStorage.length), "0");
    allowed.push("401 (Unauthorized)");
    const other = await opened();
    await other.goto(address);
    await other.getByText("used already").waitFor();
    await accessible(other, "sign in");
    await page.context().close();
    await other.context().close();
  },

  async "shows a proposal, who decided, the run and its result, live"() {
    const page = await signedIn(alpha);
    await page.getByText("Nothing waits for alpha.").waitFor();
    const made = propose(beta, "console.txt");
    await page.getByRole("link", { name: /console\.txt/ }).waitFor(); // by itself
    await accessible(page, "inbox");
    await picture(page, "inbox");
    await page.getByRole("link", { name: /console\.txt/ }).click();
    const text = page.getByRole("region", { name: "The proposal's text" });
    await text.waitFor();
    assert.match(await text.textContent(), /shared\.s3\.amazonaws\.com\/console\.txt/);
    assert.match(await page.locator("main").textContent(), new RegExp(made.id));
    await accessible(page, "proposal");
    await picture(page, "proposal");
    await page.getByRole("link", { name: "How to approve" }).click();
    await page.getByRole("list", { name: "The eight words" }).waitFor();
    assert.equal(await page.locator(".words li").count(), 8);
    assert.match(await page.locator("main").textContent(), new RegExp(`flexroom proposal approve ${made.id.slice(0, 16)}`));
    assert.deepEqual(await page.evaluate(() => [...document.scripts].map((one) => new URL(one.src).pathname)), ["/approve.js"]);
    await accessible(page, "approve");
    await picture(page, "approve");
    await page.goto(`http://localhost:${alpha.port}/#/proposal/${made.id}`);
    await text.waitFor();
    for (const member of told.members) flexroom(member, "proposal", "approve", made.id);
    await page.getByRole("heading", { name: "Its runs" }).waitFor({ timeout: 60000 });
    await page.locator(".head .pill.good").waitFor({ timeout: 60000 }); // done
    await page.locator('a[href^="#/run/"]').last().click();
    await page.getByRole("img", { name: /Timeline/ }).waitFor();
    assert.ok((await page.locator("svg.timeline .bar").count()) >= 2);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("region", { name: "The answer" }).waitFor();
    assert.equal(await page.getByRole("region", { name: "The answer" }).textContent(), told.body);
    const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save" }).click()]);
    assert.equal(readFileSync(await saved.path(), "utf8"), told.body);
    await accessible(page, "run");
    await picture(page, "run");
    await page.context().close();
  },

  async "shows what is other than when it last ran, side by side"() {
    const page = await signedIn(alpha);
    const made = flexroom(beta, "propose", "get", `${told.url}console.txt`, "--times", "3").proposal;
    await page.goto(`http://localhost:${alpha.port}/#/proposal/${made.id}`);
    await page.getByRole("region", { name: "Differences" }).waitFor();
    assert.ok((await page.locator("table.diff .new").count()) >= 1);
    assert.ok((await page.locator("table.diff .gone").count()) >= 1);
    await page.getByRole("button", { name: /show them/ }).first().click();
    await accessible(page, "differences");
    await page.context().close();
  },

  async "shows secrets, the room, the log and people"() {
    const page = await signedIn(alpha);
    await go(page, "Secrets");
    await page.getByRole("heading", { name: "Leak ledger" }).waitFor();
    await accessible(page, "secrets");
    await go(page, "Room");
    await page.locator("main").getByText("All is well").waitFor();
    await page.getByRole("rowheader", { name: "beta" }).waitFor();
    await accessible(page, "room");
    await picture(page, "room");
    await go(page, "Log");
    await page.getByRole("searchbox").fill("no such words");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByText("No entry has that.").waitFor();
    await page.getByRole("searchbox").fill("console.txt");
    await page.keyboard.press("Enter");
    await page.locator('a[href^="#/log/"]').first().waitFor();
    const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export" }).click()]);
    assert.ok(readFileSync(await saved.path(), "utf8").trim().split("\n").every((line) => JSON.parse(line)));
    await accessible(page, "log");
    await page.locator('a[href^="#/log/"]').first().click();
    await page.getByRole("region", { name: "The entry" }).waitFor();
    await go(page, "People");
    await accessible(page, "people");
    await page.context().close();
  },

  async "fits 360 px, in the dark"() {
    const page = await signedIn(alpha, { viewport: { width: 360, height: 740 }, colorScheme: "dark" });
    for (const name of ["Inbox", "Runs", "Secrets", "Room", "Log", "People"]) {
      await go(page, name);
      await fits(page, name);
      await accessible(page, `${name} in the dark`);
    }
    await go(page, "Inbox");
    await picture(page, "narrow-dark");
    const made = await page.locator('a[href^="#/proposal/"]').first().getAttribute("href");
    await page.goto(`http://localhost:${alpha.port}/${made}`);
    await page.getByRole("region", { name: "The proposal's text" }).waitFor();
    await fits(page, "proposal");
    await accessible(page, "proposal in the dark");
    await page.context().close();
  },

  async "takes a proposal, and shows what is foreign as text"() {
    const page = await signedIn(alpha);
    await page.getByRole("link", { name: "Propose" }).click();
    await page.getByLabel("Address").fill("ftp://nowhere");
    allowed.push("400 (Bad Request)");
    await page.getByRole("button", { name: "Propose to all members" }).click();
    await page.getByRole("alert").waitFor();
    await accessible(page, "propose");
    const odd = `${told.url}x?a=<script>alert(1)</script>&b=${"w".repeat(6000)}`;
    await page.getByLabel("Address").fill(encodeURI(odd).replaceAll("%3C", "%3C"));
    await page.getByRole("button", { name: "Propose to all members" }).click();
    await page.getByRole("region", { name: "The proposal's text" }).waitFor();
    await fits(page, "a long line");
    // What the node would tell of a peer that writes what it likes.
    const hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202Etxt.exe\u0007" + "l".repeat(65536);
    await page.route("**/v1/proposals", async (route) => {
      const answer = await route.fetch();
      const object = await answer.json();
      object.proposals[0].title = hostile;
      object.proposals[0].proposer = hostile.slice(0, 80);
      object.proposals[0].decisions[1].rejected = hostile;
      await route.fulfill({ response: answer, json: object });
    });
    // A slot is marked; what a peer wrote cannot look like one (the node writes its braces out).
    const id = new URL(page.url()).hash.split("/").at(-1);
    await page.route(`**/v1/proposals/${id}`, async (route) => {
      const answer = await route.fetch();
      const object = await answer.json();
      object.text = `Authorization: {{token: 40 bytes, secret joint/key}}\n${hostile}`;
      object.problem = hostile;
      await route.fulfill({ response: answer, json: object });
    });
    await page.reload();
    await page.locator("mark.slot").waitFor();
    assert.deepEqual(await page.locator("mark.slot").allTextContents(), ["{{token: 40 bytes, secret joint/key}}"]);
    await accessible(page, "a slot");
    await fits(page, "a hostile proposal");
    await go(page, "Inbox");
    await page.getByText("<script>alert(2)</script>").first().waitFor();
    const shown = await page.locator("main").textContent();
    assert.ok(shown.includes("\\u{202e}txt.exe\\u{7}"));
    assert.ok(!shown.includes("\u202e"));
    assert.equal(await page.locator("main script, main img").count(), 0);
    await fits(page, "hostile words");
    await page.context().close();
  },

  async "is used by keyboard alone"() {
    const page = await signedIn(alpha);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
    await page.keyboard.press("Enter");
    assert.deepEqual(await page.evaluate(() => [document.activeElement.id, location.hash]), ["main", "#/inbox"]);
    await page.keyboard.press("Shift+Tab");
    const reach = async (wanted) => {
      for (let k = 0; k < 60; ++k) {
        await page.keyboard.press("Tab");
        const name = await page.evaluate(() => document.activeElement.textContent);
        if (wanted.test(name)) return;
      }
      assert.fail(`not reached: ${wanted}`);
    };
    await page.evaluate(() => document.activeElement.blur());
    await reach(/^Runs/);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Runs" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1"); // read out, and Tab goes on from there
    await reach(/console\.txt/);
    await page.keyboard.press("Enter");
    await page.getByRole("img", { name: /Timeline/ }).waitFor();
    await reach(/^Show$/);
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "The answer" }).waitFor();
    await page.context().close();
  },
};

// A passkey of Chromium's own authenticator; between these two the member's people get their first rule.
async function authenticator(page, known) {
  const session = known ?? await page.context().newCDPSession(page);
  if (!known) await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", { options: { protocol: "ctap2", transport: "internal",
    hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  return { session, authenticatorId };
}

const passkeys = {
  async "makes a passkey, for the first rule"() {
    const page = await signedIn(alpha);
    const { session, authenticatorId } = await authenticator(page);
    await go(page, "People");
    allowed.push("pubKeyCredParams"); // Chromium would like RS256, which no rule takes
    await page.getByLabel("Whose it is").fill("ann");
    await page.getByRole("button", { name: "Make a passkey" }).click();
    const lines = await page.getByRole("region", { name: "For people.toml" }).textContent();
    assert.equal((await page.locator("#key-words").textContent()).split(" ").length, 4);
    await accessible(page, "a passkey");
    await picture(page, "people");
    const { credentials } = await session.send("WebAuthn.getCredentials", { authenticatorId });
    assert.equal(credentials.length, 1);
    writeFileSync(told.kept, JSON.stringify({ lines, credential: credentials[0] }));
    await page.context().close();
  },

  async "approves with it, and what was touched for once does not count twice"() {
    const { credential } = JSON.parse(readFileSync(told.kept, "utf8"));
    const made = propose(beta, "voice.txt");
    const page = await signedIn(alpha);
    const { session, authenticatorId } = await authenticator(page);
    await session.send("WebAuthn.addCredential", { authenticatorId, credential });
    await go(page, "People");
    await page.getByRole("rowheader", { name: "ann" }).waitFor();
    await accessible(page, "people with a rule");
    await go(page, "Inbox");
    await page.locator(`a[href="#/proposal/${made.id}"]`).click();
    await page.getByRole("link", { name: "Approve", exact: true }).click();
    const button = page.getByRole("button", { name: "Approve with a passkey" });
    await button.waitFor();
    await page.getByRole("list", { name: "The eight words" }).waitFor();
    await accessible(page, "approve with a passkey");
    // Without the PIN nothing is signed; then for good.
    allowed.push("409", "403", "400");
    await session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    await button.click();
    await page.getByRole("alert").waitFor();
    await session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
    const voice = page.waitForRequest((request) => request.url().endsWith("/voice"));
    await button.click();
    await page.locator("main").getByText("This member has approved it.").waitFor();
    const again = await page.evaluate(async ([path, body]) => (await fetch(path, { method: "POST", body,
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${sessionStorage.getItem("flexroom.page")}` } })).status,
    [new URL((await voice).url()).pathname, (await voice).postData()]);
    assert.ok(again >= 400, `a second time: ${again}`);
    flexroom(beta, "proposal", "approve", made.id);
    await page.getByRole("link", { name: "To the proposal" }).click();
    await page.locator(".head .pill.good").waitFor({ timeout: 60000 }); // done
    const { credentials } = await session.send("WebAuthn.getCredentials", { authenticatorId });
    writeFileSync(told.kept, JSON.stringify({ credential: credentials[0] }));
    await page.context().close();
  },

  async "changes the rule: another passkey, signed for with the first"() {
    const { credential } = JSON.parse(readFileSync(told.kept, "utf8"));
    const page = await signedIn(alpha);
    const { session, authenticatorId } = await authenticator(page);
    await go(page, "People");
    allowed.push("pubKeyCredParams");
    await page.getByLabel("Whose it is").selectOption("ann");
    await page.getByRole("button", { name: "Make a passkey" }).click();
    await page.getByText("Nothing counts it yet.").waitFor();
    await session.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId });
    const first = await authenticator(page, session);
    await session.send("WebAuthn.addCredential", { authenticatorId: first.authenticatorId, credential });
    await page.getByRole("button", { name: "Propose that rule" }).click();
    await page.getByRole("region", { name: "The rule that is proposed" }).waitFor();
    await accessible(page, "a change of the rule");
    await page.getByRole("button", { name: "Sign with a passkey" }).click();
    await page.locator("main").getByText("Version 2 of the rule is in force.").waitFor();
    await page.getByRole("link", { name: "To the people" }).click();
    await page.getByText("version 2").first().waitFor();
    await page.context().close();
  },
};

let code = 0;
for (const [name, test] of Object.entries({ ...tests, ...passkeys }).filter(([one]) => told.only.includes(one) || (!told.only.length && one in tests))) {
  const began = Date.now();
  wrong.length = allowed.length = 0;
  try {
    await test();
    assert.deepEqual(wrong, []);
    console.log(`ok   ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    console.log(`FAIL ${name}: ${error.stack}\n${wrong.join("\n")}`);
    code = 1;
  }
}
await browser.close();
process.exit(code);
