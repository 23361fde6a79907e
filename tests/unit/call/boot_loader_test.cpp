#include "call/boot_loader.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "call/loader.h"
#include "unit/call/object_server.h"

// The generated user data runs in bash, with the machine's curl, against a server of ours that
// stands for every host of the links.

namespace flexroom {
namespace {

using unit_call::answer_with;
using unit_call::ObjectServer;

constexpr const char* kRedirect =
    "HTTP/1.1 307 Temporary Redirect\r\nLocation: "
    "https://b-data.s3.eu-central-1.amazonaws.com/d\r\n"
    "Content-Type: application/xml\r\nContent-Length: 98\r\nConnection: close\r\n\r\n"
    "<?xml version=\"1.0\"?>\n<Error><Code>TemporaryRedirect</Code><Message>Please "
    "re-send</Message>"
    "</Error>";
constexpr const char* kForbidden =
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 50\r\n\r\n"
    "<Error><Code>AccessDenied</Code><Message/></Error>";

PrivateUrl url(const std::string& text) { return split_private_url(text, "test"); }

/// As if the machine had started 42 of its 45 seconds ago.
constexpr const char* kAlmostOver = "SECONDS=42";

/// A room of two or three members whose machine is run here.
class Machine : public ::testing::Test {
 protected:
  Machine() {
    dir_ = std::filesystem::temp_directory_path() / fmt::format("flexroom-boot-{}", getpid());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_ / "bin");
    job_.script_url = "https://scripts.example/train.sh";
    job_.interpreter = "bash";
    job_.deadline_minutes = 1;
    for (size_t i = 0; i < 2; ++i) {
      data_.push_back(
          fmt::format("https://m{}.example/data-{}.csv.gz?E=60&X-Amz-Signature=d{}", i, i, i));
      result_.push_back(fmt::format("https://m{}.example/result-{}", i, i));
      server_.answer("GET " + data_[i].substr(8), answer_with(fmt::format("data of {}\n", i)));
    }
    tool("curl", fmt::format("a=()\nfor x; do\n"
                             "  case $x in https://*) x=http://127.0.0.1:{}/${{x#https://}};;"
                             " =https) x==http;; *https://*) exit 99;; esac\n"
                             "  a+=(\"$x\")\ndone\nexec /usr/bin/curl \"${{a[@]}}\"\n",
                             server_.port()));
    tool("shutdown", fmt::format("echo \"$*\" >>{}\n", (dir_ / "shutdown").string()));
  }
  ~Machine() override { std::filesystem::remove_all(dir_); }

  void tool(const std::string& name, const std::string& text) {
    const auto path = dir_ / "bin" / name;
    std::ofstream(path) << "#!/bin/bash\n" << text;
    std::filesystem::permissions(path, std::filesystem::perms::all);
  }
  void script(const std::string& text) {
    job_.script_sha256 = to_hex(sha256(as_bytes(text)));
    server_.answer("GET " + job_.script_url.substr(8), answer_with(text));
  }
  size_t members() const { return data_.size(); }

  std::vector<std::unique_ptr<OwnLinks>> own() {
    Prg prg(Block(3, 4));
    std::vector<std::unique_ptr<OwnLinks>> out;
    for (size_t i = 0; i < members(); ++i) {
      // The first member carries the loader: there is one link to it.
      out.push_back(std::make_unique<OwnLinks>(url(data_[i]), url(result_[i]),
                                               i == 0 ? std::optional(url(loader_)) : std::nullopt,
                                               prg));
    }
    return out;
  }
  std::vector<PublicLinks> links() {
    std::vector<PublicLinks> out;
    for (const auto& one : own()) out.push_back(one->public_part(fmt::format("m{}", out.size())));
    return out;
  }

  /// The user data as the machine gets it.
  std::string user_data() {
    std::vector<std::string> parts;
    for (const auto& one : own()) parts.push_back(one->private_part(parts.empty()));
    std::string out;
    const agent::ScriptWriter script = boot_loader(job_, links());
    for (const agent::ScriptByte& byte : script.bytes()) {
      if (byte.kind == agent::ScriptByte::Kind::kPublic) {
        out.push_back(static_cast<char>(byte.value));
      } else if (byte.kind == agent::ScriptByte::Kind::kNonce) {
        out.push_back("0123456789abcdef"[byte.index % 16]);
      } else {
        out.push_back(parts[byte.member][byte.index]);
      }
    }
    return out;
  }

  /// Runs the machine. Returns what it wrote on its console.
  std::string boot(const std::string& prefix = "") {
    server_.answer("GET m0.example/result-0?X-Amz-Signature=get",
                   answer_with(loader_text(job_, links())));
    return boot_as_it_is(prefix);
  }
  std::string boot_as_it_is(const std::string& prefix = "") {
    std::ofstream(dir_ / "boot") << user_data();
    return run_boot(prefix);
  }
  std::string run_boot(const std::string& prefix = "") {
    server_.forget();
    std::filesystem::remove_all(dir_ / "tmp");
    std::filesystem::create_directory(dir_ / "tmp");
    const std::string command = fmt::format(
        "cd / && HOME={0}/tmp TMPDIR={0}/tmp PATH={0}/bin:$PATH {1} bash {0}/boot >{0}/console "
        "2>&1",
        dir_.string(), prefix);
    status_ = std::system(command.c_str());
    return read(dir_ / "console");
  }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  /// Every member was told that, and nothing else.
  void expect_failed(const std::string& why) {
    const auto puts = server_.puts();
    for (size_t i = 0; i < members(); ++i) {
      const auto it = puts.find(result_[i].substr(8));
      ASSERT_NE(it, puts.end()) << i << ": " << read(dir_ / "console");
      EXPECT_EQ(it->second, "FLEXROOM-FAILED\n" + why + "\n");
    }
    EXPECT_EQ(puts.size(), members());
  }
  bool ran() {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_)) {
      if (entry.path().filename() == "log") return true;
    }
    return false;
  }

  std::filesystem::path dir_;
  ObjectServer server_;
  JobConfig job_;
  std::vector<std::string> data_, result_;
  std::string loader_ = "https://m0.example/result-0?X-Amz-Signature=get";
  int status_ = 0;
};

TEST_F(Machine, RunsTheAgreedScriptAndPutsEveryResult) {
  script("cat \"$@\" >result-1; echo two >result-2; cat result-1\n");
  const std::string console = boot();
  EXPECT_EQ(status_, 0) << console;
  const auto puts = server_.puts();
  ASSERT_EQ(puts.size(), 2u) << console;
  EXPECT_EQ(puts.at("m0.example/result-0"), "data of 0\ndata of 1\n");
  EXPECT_EQ(puts.at("m1.example/result-1"), "two\n");
  EXPECT_EQ(console.find("data of"), std::string::npos) << console;
  EXPECT_EQ(read(dir_ / "shutdown"), "+1\n-h now\n");
}

// Who waits learns that the loader is here, and that its link can be written, before anything else
// can go wrong; and nothing comes behind a result.
TEST_F(Machine, TheLoaderSaysFirstThatItRuns) {
  script("sleep 1; echo 1 >result-1; echo 2 >result-2\n");
  const std::string console = boot();
  using Puts = std::vector<std::string>;
  const std::string begun = std::string(kBegunMark) + "\n";
  EXPECT_EQ(server_.all_put_at("m0.example/result-0"), (Puts{begun, "1\n"})) << console;
  EXPECT_EQ(server_.all_put_at("m1.example/result-1"), (Puts{begun, "2\n"})) << console;
  server_.answer("GET " + job_.script_url.substr(8), kForbidden);
  boot();
  EXPECT_EQ(server_.all_put_at("m1.example/result-1"),
            (Puts{begun, "FLEXROOM-FAILED\nscript: 403 AccessDenied\n"}));
}

TEST_F(Machine, FilesKeepTheirEndingAndArgumentsArriveAsTheyAre) {
  job_.arguments = {"--rows", "it's \"5\" $HOME `date` \\"};
  job_.interpreter = "bash -e";
  script("printf '%s\\n' \"$0\" \"$@\" >result-1\ncat d1* d2* >result-2\n");
  const std::string console = boot();
  const auto puts = server_.puts();
  ASSERT_EQ(puts.size(), 2u) << console;
  EXPECT_EQ(puts.at("m0.example/result-0"),
            "s.sh\n--rows\nit's \"5\" $HOME `date` \\\nd1.csv.gz\nd2.csv.gz\n");
  EXPECT_EQ(puts.at("m1.example/result-1"), "data of 0\ndata of 1\n");
}

TEST_F(Machine, AScriptOfAnotherDigestIsNotRun) {
  script("touch result-1 result-2\n");
  job_.script_sha256 = std::string(64, 'a');
  boot();
  expect_failed("script: not the one of the agreed SHA-256");
  EXPECT_FALSE(ran());
}

// cases/vm/data-307.resp: the script ran on the XML of a redirect, and all got a wrong result.
TEST_F(Machine, ARedirectIsAFailureOfThatMembersLink) {
  script("touch result-1 result-2\n");
  server_.answer("GET " + data_[1].substr(8), kRedirect);
  boot();
  expect_failed("data of m1: 307 TemporaryRedirect");
  EXPECT_FALSE(ran());
}

TEST_F(Machine, EveryStatusBut200IsAFailure) {
  script("touch result-1 result-2\n");
  for (const auto& [answer, why] :
       {std::pair{std::string(kForbidden), "data of m0: 403 AccessDenied"},
        {std::string("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "data of m0: 404"},
        {std::string("HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx"),
         "data of m0: 206"},
        {std::string("HTTP/1.1 204 No Content\r\n\r\n"), "data of m0: 204"},
        {std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
         "data of m0: the answer ended early"}}) {
    server_.answer("GET " + data_[0].substr(8), answer);
    boot();
    expect_failed(why);
    EXPECT_FALSE(ran()) << why;
  }
}

TEST_F(Machine, AScriptThatCannotBeFetchedIsSaid) {
  script("touch result-1 result-2\n");
  server_.answer("GET " + job_.script_url.substr(8), kForbidden);
  boot();
  expect_failed("script: 403 AccessDenied");
}

// cases/vm/result-put-307.resp: the other keeps its result.
TEST_F(Machine, OneResultThatCannotBeStoredKeepsNoOtherBack) {
  script("echo 1 >result-1; echo 2 >result-2\n");
  server_.answer("PUT " + result_[1].substr(8), kRedirect);
  const std::string console = boot();
  const auto puts = server_.puts();
  EXPECT_EQ(puts.size(), 1u);
  EXPECT_EQ(puts.at("m0.example/result-0"), "1\n");
  EXPECT_NE(console.find("flexroom: result of m1: 307 TemporaryRedirect\n"), std::string::npos)
      << console;
}

// cases/scripts/pii_traceback.py: what a script prints may be another member's row.
TEST_F(Machine, NoOutputLeavesTheMachineUnlessAllAgreed) {
  script("echo 'John Q. Public,4O,B20 HIV' >&2; exit 3\n");
  const std::string console = boot();
  expect_failed("script: exit status 3");
  EXPECT_EQ(console.find("John"), std::string::npos) << console;
  job_.failure_output_to_all = true;
  boot();
  for (const auto& [link, text] : server_.puts()) {
    EXPECT_EQ(text, "FLEXROOM-FAILED\nscript: exit status 3\n\nJohn Q. Public,4O,B20 HIV\n");
  }
}

// cases/scripts/pipeline_sigpipe.sh, crlf.sh
TEST_F(Machine, TheExitStatusIsReportedWithItsMeaning) {
  script("set -o pipefail\nyes | head -n 1 >/dev/null\n");
  boot();
  expect_failed("script: exit status 141 (SIGPIPE)");
  script("#!/bin/bash\r\nset -e\r\nexit 2\r\n");
  boot();
  EXPECT_EQ(server_.puts().at("m0.example/result-0").find("FLEXROOM-FAILED\nscript: exit status "),
            0u);
  EXPECT_NE(server_.puts().at("m0.example/result-0").find("; its lines end in CR LF\n"),
            std::string::npos);
  job_.interpreter = "no-such-interpreter --vanilla";
  boot();
  EXPECT_NE(server_.puts().at("m0.example/result-0").find("(the interpreter cannot be run)"),
            std::string::npos);
}

TEST_F(Machine, AMissingResultIsSaid) {
  script("echo 1 >result-1\n");
  boot();
  expect_failed("script: wrote no result-2");
}

// cases/scripts/deadline.py: the machine ends the script before it ends itself.
TEST_F(Machine, TheDeadlineIsReportedBeforeTheMachineStops) {
  script("echo epoch 1 done; SECONDS=0; while :; do read -t 1 <> <(:) || :; done\n");
  job_.failure_output_to_all = true;
  boot(kAlmostOver);
  for (const auto& [link, text] : server_.puts()) {
    EXPECT_EQ(text,
              "FLEXROOM-FAILED\nscript: stopped at the deadline of 1 minutes\n\n"
              "epoch 1 done\n");
  }
  EXPECT_EQ(server_.puts().size(), 2u);
}

TEST_F(Machine, AHostThatNeverAnswersEndsAtTheDeadline) {
  script("touch result-1 result-2\n");
  server_.answer("GET " + data_[1].substr(8), "stall");
  boot(kAlmostOver);
  expect_failed("data of m1: too slow");
}

// The user data names the loader's digest: what the member who carries it puts there instead is not
// run, and the machine asks again until it is right.
TEST_F(Machine, AnotherLoaderIsNotRun) {
  script("touch result-1 result-2\n");
  const std::string right = loader_text(job_, links());
  server_.answer("GET m0.example/result-0?X-Amz-Signature=get",
                 answer_with(right + "touch /tmp/owned\n"));
  // Whoever kills the machine writes nothing after it: the directory is removed under it.
  tool("sleep", fmt::format("if test -e {0}/slept; then kill $PPID; else touch {0}/slept; fi\n",
                            dir_.string()));
  boot_as_it_is();
  EXPECT_TRUE(std::filesystem::exists(dir_ / "slept"));
  EXPECT_TRUE(server_.puts().empty());
  EXPECT_FALSE(ran());
  for (const std::string& request : server_.seen()) {
    EXPECT_EQ(request, "GET m0.example/result-0?X-Amz-Signature=get");
  }
}

// Nobody can be told: the members' links are in what was not fetched. The machine stops long before
// its deadline.
TEST_F(Machine, AMachineThatCannotGetTheLoaderStops) {
  job_.deadline_minutes = 600;
  tool("curl", fmt::format("echo try >>{}/tries\nexit 22\n", dir_.string()));
  tool("sleep", fmt::format("echo $1 >>{}/slept\n", dir_.string()));
  tool("shutdown",
       fmt::format("echo \"$*\" >>{}/shutdown\n[ $1 != now ] || kill $PPID\n", dir_.string()));
  boot_as_it_is("timeout 120");
  EXPECT_EQ(read(dir_ / "shutdown"), "+600\nnow\n");
  const auto lines = [&](const char* file) {
    const std::string text = read(dir_ / file);
    return std::count(text.begin(), text.end(), '\n');
  };
  EXPECT_EQ(lines("tries"), 100);
  EXPECT_EQ(lines("slept"), 100);
  EXPECT_FALSE(ran());
}

// A place for the loader that is no result link, and not signed: one word less.
TEST_F(Machine, ALoaderWithAPlaceOfItsOwn) {
  loader_ = "https://scripts.example/loader";
  script("echo 1 >result-1; echo 2 >result-2\n");
  server_.answer("GET scripts.example/loader", answer_with(loader_text(job_, links())));
  const std::string console = boot_as_it_is();
  EXPECT_EQ(server_.puts().size(), 2u) << console;
  EXPECT_EQ(server_.puts().at("m1.example/result-1"), "2\n");
}

// curl takes dots out of a path unless it is told not to; the signature is over the path as it is.
TEST_F(Machine, DotsInAPathStay) {
  data_[0] = "https://m0.example/a/../b/./c~1.csv?X-Amz-Signature=1";
  server_.answer("GET " + data_[0].substr(8), answer_with("dots\n"));
  script("cp d1.csv result-1; touch result-2\n");
  const std::string console = boot();
  EXPECT_EQ(server_.puts().at("m0.example/result-0"), "dots\n") << console;
}

// What a member seals is its own affair, and no program: a link outside the class ends the run.
TEST_F(Machine, ASealedLinkIsDataAndNeverCode) {
  script("touch result-1 result-2\n");
  for (const std::string& bad : {std::string("'$(touch owned)'"), std::string("a b"),
                                 std::string("a\nb"), std::string("a\0b", 3)}) {
    std::vector<PublicLinks> all = links();
    std::string key = own()[1]->private_part(false);
    std::string text = bad + std::string(result_[1].size() - 19, 'x');
    all[1].data = {"https://m1.example/", static_cast<uint32_t>(bad.size()), "", 0};
    all[1].sealed = seal_links(key, text);
    ASSERT_EQ(all[1].sealed.size() / 2, size_t{all[1].data.path_bytes} + all[1].result.path_bytes);
    const std::string loader = loader_text(job_, all);
    server_.answer("GET m0.example/result-0?X-Amz-Signature=get", answer_with(loader));
    // The digest is of the links of this test; the rest of the user data is as ever.
    std::string text_of = user_data();
    const std::string digest = to_hex(sha256(as_bytes(loader_text(job_, links()))));
    text_of.replace(text_of.find(digest), digest.size(), to_hex(sha256(as_bytes(loader))));
    std::ofstream(dir_ / "boot") << text_of;
    run_boot();
    const auto puts = server_.puts();
    ASSERT_EQ(puts.count("m0.example/result-0"), 1u) << read(dir_ / "console");
    EXPECT_EQ(puts.at("m0.example/result-0"),
              "FLEXROOM-FAILED\nlinks of m1: not what the member was to seal\n");
    EXPECT_FALSE(ran());
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_)) {
    EXPECT_NE(entry.path().filename(), "owned");
  }
}

TEST_F(Machine, BashAcceptsItForAnyNumberOfMembers) {
  while (members() < 16) {
    const size_t i = members();
    data_.push_back(fmt::format("https://m{}.example/data-{}", i, i));
    result_.push_back(fmt::format("https://m{}.example/result-{}", i, i));
    if (i != 2 && i != 15) continue;
    std::ofstream(dir_ / "boot") << user_data();
    std::ofstream(dir_ / "loader") << loader_text(job_, links());
    EXPECT_EQ(
        std::system(fmt::format("bash -n {0}/boot && bash -n {0}/loader", dir_.string()).c_str()),
        0);
    EXPECT_EQ(user_data().size() % 3, 0u);
  }
}

// 5.2, 6.2: the nonce is the first secret; every private byte stands inside single quotes that the
// public text opens and closes.
TEST_F(Machine, NonceComesFirstAndPrivateBytesStandInQuotes) {
  using Kind = agent::ScriptByte::Kind;
  const agent::ScriptWriter writer = boot_loader(job_, links());
  bool nonce_seen = false;
  size_t quotes = 0, private_bytes = 0;
  for (const agent::ScriptByte& byte : writer.bytes()) {
    if (byte.kind == Kind::kNonce) nonce_seen = true;
    if (byte.kind == Kind::kPublic && byte.value == '\'') ++quotes;
    if (byte.kind == Kind::kMember) {
      EXPECT_TRUE(nonce_seen);
      EXPECT_EQ(quotes % 2, 1u);
      ++private_bytes;
    }
  }
  EXPECT_EQ(quotes % 2, 0u);
  EXPECT_EQ(private_bytes, std::string("result-0get").size() + 2 * OwnLinks::kKeyBytes);
}

// Nobody but the machine has the keys: the same links are other bytes in every run.
TEST(OwnLinksTest, SealedLinksShowNothing) {
  Prg prg = Prg::from_system();
  const PrivateUrl link = url("https://h.example/object?X-Amz-Signature=" + std::string(64, 'b'));
  const OwnLinks one(link, link, link, prg), other(link, link, link, prg);
  EXPECT_NE(one.public_part("m").sealed, other.public_part("m").sealed);
  EXPECT_EQ(one.public_part("m").sealed.find(to_hex(as_bytes("object"))), std::string::npos);
  EXPECT_NE(one.private_part(false), other.private_part(false));
  EXPECT_EQ(one.private_part(false).size(), OwnLinks::kKeyBytes);
  // Sealing is an involution: with the key the machine reads it.
  const std::string text = "object" + std::string(64, 'b') + "object" + std::string(64, 'b');
  EXPECT_EQ(one.public_part("m").sealed, seal_links(one.private_part(false), text));
}

TEST(OwnLinksTest, WhatCannotStandInTheUserDataCarriesNoLoader) {
  Prg prg(Block(1, 1));
  const PrivateUrl plain = url("https://h.example/o"), tilde = url("https://h.example/o~1");
  EXPECT_TRUE(OwnLinks(tilde, tilde, plain, prg).public_part("m").carrier.has_value());
  EXPECT_FALSE(OwnLinks(plain, plain, tilde, prg).public_part("m").carrier.has_value());
  EXPECT_FALSE(OwnLinks(plain, plain, std::nullopt, prg).public_part("m").carrier.has_value());
  EXPECT_THROW(carrier_of({OwnLinks(plain, plain, tilde, prg).public_part("m")}), InputError);
}

TEST(OwnLinksTest, TheShortestLinkCarriesTheLoader) {
  Prg prg(Block(1, 1));
  const PrivateUrl near = url("https://h.example/o"), far = url("https://h.example/a/long/object");
  EXPECT_EQ(carrier_of({OwnLinks(near, near, far, prg).public_part("a"),
                        OwnLinks(near, near, std::nullopt, prg).public_part("b"),
                        OwnLinks(near, near, near, prg).public_part("c")}),
            2u);
}

// A malicious member writes its public part as it likes; the loader is run for all.
TEST(PublicLinksTest, NothingOfAShellPasses) {
  Prg prg(Block(1, 1));
  const PrivateUrl link =
      url("https://h.example/object?E=60&X-Amz-Signature=" + std::string(64, 'b'));
  const PublicLinks good = OwnLinks(link, link, link, prg).public_part("m");
  EXPECT_NO_THROW(check_public_links(good));
  const auto refuse_links = [&](const PublicLinks& bad) {
    EXPECT_THROW(check_public_links(bad), InputError);
    EXPECT_THROW(boot_loader(JobConfig(), {bad, good}), InputError);
  };
  const auto refuse = [&](const auto& change) {
    for (PublicLink PublicLinks::*const which : {&PublicLinks::data, &PublicLinks::result}) {
      PublicLinks bad = good;
      change(bad.*which);
      refuse_links(bad);
    }
    PublicLinks bad = good;
    change(*bad.carrier);
    refuse_links(bad);
  };
  const std::string chars("'\"$`\\\n\r\t ;|<>()~{}[]#*!^@,\0\x7f\x80\xff", 31);
  for (const char c : chars) {
    const std::string text(1, c);
    refuse([&](PublicLink& l) { l.public_prefix = "https://h" + text + "/"; });
    refuse([&](PublicLink& l) { l.public_prefix = "https://h/" + text; });
    if (c != '~') refuse([&](PublicLink& l) { l.public_query = "?" + text + "X-Amz-Signature="; });
    refuse([&](PublicLink& l) { l.public_query = text; });
    refuse([&](PublicLink& l) { l.public_query = "?" + text; });
    PublicLinks bad = good;
    bad.member = "m" + text;
    refuse_links(bad);
    bad = good;
    bad.sealed[0] = c;
    refuse_links(bad);
  }
  for (const char* prefix : {"", "https://", "https:///", "http://h/", "https://h", "https://h/p/",
                             "https://h/?", "'; rm -rf /; '"}) {
    refuse([&](PublicLink& l) { l.public_prefix = prefix; });
  }
  for (const char* query : {"abc", "?abc", "?a?X-Amz-Signature=", "?X-Amz-Signature=abc",
                            "'$(reboot)'", "?X-Amz-Signature=&x=1"}) {
    refuse([&](PublicLink& l) { l.public_query = query; });
  }
  refuse([](PublicLink& l) { l.path_bytes = 0; });
  refuse([](PublicLink& l) { l.path_bytes = 1025; });
  refuse([](PublicLink& l) { l.path_bytes = 0xffffffff; });
  refuse([](PublicLink& l) { l.tail_bytes = 4097; });
  refuse([](PublicLink& l) {
    l.public_query = "";
    l.tail_bytes = 1;
  });
  for (const size_t size : {size_t{0}, good.sealed.size() - 2, good.sealed.size() + 2}) {
    PublicLinks bad = good;
    bad.sealed.resize(size, '0');
    refuse_links(bad);
  }
}

}  // namespace
}  // namespace flexroom
