#include <fmt/core.h>

#include <functional>

#include "flow_fixture.h"

// What the shipped files have no edit for: ways around an assertion and a proof, keys of other
// flows, hosts of other providers. Small files of their own.

namespace flexroom::flow {
namespace ways_test {

std::string get(const std::string& name, const std::string& more = "") {
  return fmt::format(
      "name = \"{}\"\nrequest = '''\nGET /{} HTTP/1.1\nHost: signin.flexroom.example\n'''\n{}\n",
      name, name, more);
}

std::string head(const std::string& more = "") {
  return "[flow]\nname = \"x\"\nprovider = \"sandbox\"\nprefix = \"account\"\n"
         "hosts = [\"signin.flexroom.example\", \"sts.us-east-1.amazonaws.com\"]\n" +
         more;
}

std::string said_of(const std::string& text, const RoomView& room = sandbox_room()) {
  return refusal_of([&] { (void)parse_flow(text, shipped("x"), room); });
}

void expect_refused(const std::string& text, const std::string& why) {
  const std::string said = said_of(text);
  EXPECT_NE(said.find(why), std::string::npos) << said << "\n" << text;
}

// ------------------------------------------------------------------ after, from a branch

const std::string kAsserts =
    "assert.account = { at = \"json /account\", equals = \"{{account-id}}\" }\n";
const std::string kBranch = "[[branch.Mfa]]\n";

std::string with_branch(const std::string& steps) {
  return head("uses = [\"account-id\"]\n") + "[[step]]\n" +
         get("Sign", kAsserts + "on.401 = \"branch Mfa\"") + "[[step]]\n" + get("Use") + steps;
}

TEST(FlowAfter, ABranchAssertsOnEveryWayWhatTheStepAssertsForWhichItStands) {
  EXPECT_EQ(said_of(with_branch(kBranch + get("Totp", kAsserts + "on.ok = \"after Sign\""))),
            "accepted");
  // In a step before, which every way passes with `ok`.
  EXPECT_EQ(said_of(with_branch(kBranch + get("Totp", kAsserts) + kBranch +
                                get("More", "on.ok = \"after Sign\""))),
            "accepted");
  const std::string why = "but does not assert account on every way";
  // The answer that was refused held nothing.
  expect_refused(with_branch(kBranch + get("Totp", kAsserts + "on.ok = \"after Sign\"\n"
                                                              "on.400 = \"after Sign\"")),
                 "goes on behind Sign on `400`, " + why);
  // A step of the branch that asserts, and a way around it.
  expect_refused(with_branch(kBranch + get("Totp", kAsserts + "on.400 = \"next\"") + kBranch +
                             get("More", "on.ok = \"after Sign\"")),
                 why);
  // Held once, and not in the answer to the second time.
  expect_refused(with_branch(kBranch + get("Totp", kAsserts + "on.409 = \"after Sign\"") + kBranch +
                             get("More", "on.ok = \"after Sign\"\non.401 = \"back Totp\"")),
                 why);
  // Held in an earlier visit of the branch, in the answer to another request.
  expect_refused(with_branch(kBranch + get("Ask", "on.404 = \"after Sign\"") + kBranch +
                             get("Totp", kAsserts + "on.ok = \"back Sign x2\"")),
                 why);
}

// ------------------------------------------------------------------ past a proof

const std::string kKeeps =
    "keep.\"keys/secret\" = { at = \"json /s\", class = \"base64\", length = 40, entropy = 200, "
    "replace = true, purposes = [\"sigv4 sts us-east-1\"] }\n"
    "open.\"keys/id\" = { at = \"json /id\", class = \"urlsafe\", max = 20 }\n";

std::string proof() {
  return "[[step]]\nname = \"Prove\"\nsign = \"sts us-east-1\"\ntype = \"text/xml\"\n"
         "request = '''\nPOST / HTTP/1.1\nHost: sts.us-east-1.amazonaws.com\n"
         "Content-Type: application/x-www-form-urlencoded\n\n"
         "Action=GetCallerIdentity&Version=2011-06-15\n'''\n"
         "proves = \"keys\"\non.unknown = \"again\"\n";
}

TEST(FlowProof, NothingIsUnprovedBehindIt) {
  const std::string key = "key = \"keys\"\n", step = "[[step]]\n";
  const std::string used = key + "may_use = [\"keys/secret\"]\n";
  const std::string why = "goes on behind Prove with what Prove has not proved below keys/";
  EXPECT_EQ(said_of(head(key) + step + get("Make", kKeeps) + proof() + step + get("Use")),
            "accepted");
  // Kept by a branch that goes on behind the proof.
  expect_refused(head(used) + step + get("Make", "on.404 = \"branch B\"") + proof() + step +
                     get("Use") + "[[branch.B]]\n" + get("B1", kKeeps + "on.ok = \"after Prove\""),
                 why);
  // The same branch, which goes back to the proof.
  EXPECT_EQ(
      said_of(head(used) + step + get("Make", "on.404 = \"branch B\"") + proof() + step +
              get("Use") + "[[branch.B]]\n" + get("B1", kKeeps + "on.ok = \"back Prove x2\"")),
      "accepted");
  // Kept behind the proof, by a step and by a branch.
  expect_refused(head(used) + proof() + step + get("Use", kKeeps), why);
  expect_refused(head(used) + proof() + step + get("Use", "on.404 = \"branch B\"") + step +
                     get("Last") + "[[branch.B]]\n" + get("B1", kKeeps + "on.ok = \"after Use\""),
                 why);
  // Kept by one branch, past the proof by another that it leads to.
  expect_refused(head(used) + step + get("Make", "on.404 = \"branch B\"") + proof() + step +
                     get("Use", "on.404 = \"branch A\"") + step + get("Last") + "[[branch.A]]\n" +
                     get("A1", "on.ok = \"after Use\"") + "[[branch.B]]\n" +
                     get("B1", kKeeps + "on.ok = \"branch A\""),
                 why);
}

// ------------------------------------------------------------------ keys of a jwe

std::string jwe(const std::string& key, const std::string& uses, bool opened_first = false) {
  const std::string send =
      "[[step]]\nname = \"Send\"\nrequest = '''\nPOST /authenticate HTTP/1.1\n"
      "Host: signin.flexroom.example\nContent-Type: application/json\n\n"
      "{\"password\": \"{{account/password as jwe RSA-OAEP-256 A256GCM key " +
      key + "}}\"}\n'''\non.unknown = \"stop\"\n";
  std::string parts = "sealed = false\n";
  for (const auto& [part, value_class] :
       {std::pair("n", "base64url"), {"e", "base64url"}, {"kid", "urlsafe"}}) {
    parts += fmt::format("open.\"{}.{}\" = {{ at = \"json /{}\", class = \"{}\", max = 683 }}\n",
                         key, part, part, value_class);
  }
  const std::string open = "[[step]]\n" + get("Key", parts);
  return head("uses = [\"account/password\"" + uses + "]\n") +
         (opened_first ? open + send : send + open);
}

// operations.md (e): nobody but the host of the purpose chooses the key of a secret password.
TEST(FlowJwe, TheKeyIsOneThatThisRunOpenedAndNoValueOfTheRoom) {
  EXPECT_EQ(said_of(jwe("run/key", "", true)), "accepted");
  // Another flow stored it, and this one opens the right one too late.
  expect_refused(jwe("evil", "", true),
                 "the key of a jwe is one that this run opened, below run/: evil.n");
  expect_refused(jwe("run/key", ", \"run/key.n\", \"run/key.e\", \"run/key.kid\""),
                 "run/key.n is in `uses`: it is there already");
  expect_refused(jwe("evil", ", \"evil.n\", \"evil.e\", \"evil.kid\""), "evil.n");
}

TEST(FlowUses, WhatOtherFlowsMadeIsNotMadeAgain) {
  const std::string keep =
      "[[step]]\n" + get("Make",
                         "keep.\"account/code\" = { at = \"json /c\", class = \"digits\", "
                         "length = 6 }");
  EXPECT_EQ(said_of(head() + keep), "accepted");
  expect_refused(head("uses = [\"account/code\"]\n") + keep,
                 "account/code is in `uses`: write replace = true");
}

// ------------------------------------------------------------------ providers and mailboxes

RoomView room_of(std::vector<Provider> providers) {
  RoomView out;
  out.providers = std::move(providers);
  return out;
}

Provider provider(const std::string& name, std::vector<std::string> hosts) {
  Provider out;
  out.name = name;
  out.hosts = std::move(hosts);
  return out;
}

std::string text_of_mail(const std::string& from, const std::string& listed,
                         const std::string& host) {
  return fmt::format(
      "[flow]\nname = \"x\"\nprovider = \"{}\"\nprefix = \"account\"\nhosts = [\"{}\"]\n"
      "[argument.who]\n[[step]]\nname = \"Read\"\nrequest = '''\nGET /b HTTP/1.1\nHost: {}\n'''\n"
      "open.\"run/text\" = {{ at = \"json /text\", class = \"jsonsafe\", max = 511 }}\n",
      from, listed, host);
}

TEST(FlowMailbox, AFlowGoesToHostsOfItsOwnProviderSoThatNoFilePicksTheEntry) {
  const RoomView room = [] {
    Provider sandbox = provider("sandbox", {"*"});
    sandbox.host_mailbox["mail.flexroom.example"] = true;
    return room_of({sandbox, provider("other", {"other.example"})});
  }();
  const std::string mail = "mail.flexroom.example", other = "other.example";
  EXPECT_NE(said_of(text_of_mail("sandbox", mail, mail), room).find("a mailbox: only"),
            std::string::npos);
  EXPECT_NE(said_of(text_of_mail("other", mail, mail), room)
                .find("lists mail.flexroom.example, which provider other does not serve"),
            std::string::npos);
  EXPECT_EQ(said_of(text_of_mail("other", other, other), room), "accepted");
  const std::string later = other + "\"]\nlater_hosts = [\"" + mail;
  EXPECT_NE(said_of(text_of_mail("other", later, other), room).find("does not serve"),
            std::string::npos);
}

// tls-in-mpc.md §5.6: what a label will be is not known when the file is approved.
TEST(FlowMailbox, AHostWithASlotIsOneIfAnyNameThatCouldStandThereIs) {
  const auto said = [](const std::function<void(Provider&)>& change) {
    Provider sandbox = provider("sandbox", {"*"});
    change(sandbox);
    return said_of(text_of_mail("sandbox", "flexroom.example", "{{who}}.flexroom.example"),
                   room_of({sandbox}));
  };
  EXPECT_EQ(said([](Provider&) {}), "accepted");
  EXPECT_EQ(said([](Provider& p) { p.host_mailbox["mail.other.example"] = true; }), "accepted");
  const std::string why = "a mailbox: only";
  for (const std::string yes : {"mail.flexroom.example", "flexroom.example", "example"}) {
    EXPECT_NE(said([&](Provider& p) { p.host_mailbox[yes] = true; }).find(why), std::string::npos)
        << yes;
  }
  const auto whole = [&](const std::string& no) {
    return said([&](Provider& p) {
      p.mailbox = true;
      p.host_mailbox[no] = false;
    });
  };
  EXPECT_NE(whole("a.flexroom.example").find(why), std::string::npos);
  EXPECT_EQ(whole("flexroom.example"), "accepted");
}

TEST(FlowMailbox, EveryNameThatASlotCouldMakeIsServedByTheFlowsProvider) {
  const auto said = [](std::vector<std::string> hosts, std::vector<std::string> others) {
    return said_of(text_of_mail("a", "flexroom.example", "{{who}}.flexroom.example"),
                   room_of({provider("a", std::move(hosts)), provider("b", std::move(others))}));
  };
  const std::string why = "provider a does not serve every such name";
  EXPECT_EQ(said({"flexroom.example", "*.flexroom.example"}, {"b.example"}), "accepted");
  EXPECT_NE(said({"flexroom.example"}, {"b.example"}).find(why), std::string::npos);
  EXPECT_NE(said({"*"}, {"mail.flexroom.example"}).find(why), std::string::npos);
}

}  // namespace ways_test
}  // namespace flexroom::flow
