#include "call/run_instances.h"
#include "call/boot_loader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/codec.h"
#include "base/error.h"
#include "call/run_script.h"
#include "support/parties.h"

namespace flexroom {
namespace {

constexpr const char* kDate = "20260102T030405Z";

JobConfig job() {
  JobConfig out;
  out.region = "us-east-1";
  out.image_id = "ami-0123456789abcdef0";
  out.instance_type = "t3.large";
  out.access_key_id = "AKIAIOSFODNN7EXAMPLE";
  out.script_url = "https://scripts.example/train.py";
  out.script_sha256 = std::string(64, 'a');
  return out;
}

PrivateUrl data_url(size_t i, const std::string& object = "private-object") {
  return split_private_url("https://m" + std::to_string(i) + ".example/" + object + "?E=60&" +
                               "X-Amz-Signature=" + std::string(64, 'b'),
                           "test");
}
PrivateUrl result_url(size_t i) {
  return split_private_url("https://m" + std::to_string(i) + ".example/r", "test");
}

std::vector<PublicLinks> links(size_t n) {
  std::vector<PublicLinks> out;
  for (size_t i = 0; i < n; ++i) out.push_back(public_part(data_url(i), result_url(i)));
  return out;
}

/// The script as the VM gets it.
std::string render(const agent::ScriptWriter& script, const std::vector<std::string>& own,
                   std::string_view nonce = "0123456789abcdef0123456789abcdef") {
  std::string out;
  for (const agent::ScriptByte& byte : script.bytes()) {
    if (byte.kind == agent::ScriptByte::Kind::kPublic) {
      out.push_back(static_cast<char>(byte.value));
    } else if (byte.kind == agent::ScriptByte::Kind::kNonce) {
      out.push_back(nonce[byte.index]);
    } else {
      out.push_back(own[byte.member][byte.index]);
    }
  }
  return out;
}

TEST(BootLoaderTest, IsAScriptThatBashAccepts) {
  for (const size_t n : {2u, 3u, 5u}) {
    std::vector<std::string> own;
    for (size_t i = 0; i < n; ++i) own.push_back(private_part(data_url(i), result_url(i)));
    const std::string text = render(boot_loader(job(), links(n)), own);
    const auto path = std::filesystem::temp_directory_path() /
                      ("flexroom-boot-" + std::to_string(getpid()) + ".sh");
    std::ofstream(path) << text;
    EXPECT_EQ(std::system(("bash -n " + path.string()).c_str()), 0) << text;
    std::filesystem::remove(path);
    EXPECT_EQ(text.rfind("#!/bin/bash\n", 0), 0u);
    EXPECT_EQ(text.size() % 3, 0u);
    for (size_t i = 0; i < n; ++i) {
      const std::string number = std::to_string(i + 1);
      EXPECT_NE(
          text.find("D" + number + "='https://m" + std::to_string(i) +
                    ".example/private-object?E=60&X-Amz-Signature=" + std::string(64, 'b') + "'\n"),
          std::string::npos)
          << text;
      EXPECT_NE(text.find("R" + number + "='https://m" + std::to_string(i) + ".example/r'\n"),
                std::string::npos);
    }
  }
}

// 6.2: the nonce is the first secret; private bytes stand in quotes behind a public host.
TEST(BootLoaderTest, NonceComesFirstAndPrivateBytesStandInQuotedUrls) {
  const agent::ScriptWriter script = boot_loader(job(), links(3));
  using Kind = agent::ScriptByte::Kind;
  bool nonce_seen = false;
  size_t quotes = 0;
  std::string since_quote;
  for (const agent::ScriptByte& byte : script.bytes()) {
    if (byte.kind == Kind::kNonce) nonce_seen = true;
    if (byte.kind == Kind::kPublic) {
      if (nonce_seen && byte.value == '\'') {
        ++quotes;
        since_quote.clear();
      }
      since_quote.push_back(static_cast<char>(byte.value));
    }
    if (byte.kind == Kind::kMember) {
      EXPECT_TRUE(nonce_seen);
      EXPECT_EQ(quotes % 2, 1u);
      EXPECT_EQ(since_quote.rfind("'https://m", 0), 0u);
      EXPECT_NE(since_quote.find(".example/"), std::string::npos);
    }
  }
  EXPECT_EQ(quotes, 12u);
}

// Runs with a curl of ours: the script only when its digest is right, results to each member's
// place, and a failure is said instead.
TEST(BootLoaderTest, RunsTheScriptOnlyIfItsDigestIsRight) {
  const auto dir =
      std::filesystem::temp_directory_path() / ("flexroom-boot-run-" + std::to_string(getpid()));
  for (const bool right : {true, false}) {
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir / "bin");
    const std::string program = "cat \"$1\" \"$2\" >result-1; cp result-1 result-2\n";
    std::ofstream(dir / "program") << program;
    std::ofstream(dir / "bin/shutdown") << "#!/bin/sh\nexit 0\n";
    std::ofstream(dir / "bin/curl")
        << "#!/bin/sh\n"
           "while [ $# -gt 0 ]; do case $1 in -o) out=$2; shift;; -T) put=$2; shift;; "
           "--retry) shift;; -*) ;; *) url=$1;; esac; shift; done\n"
           "if [ -n \"$put\" ]; then echo \"$url\" >>\""
        << dir.string() << "/puts\"; cat \"$put\" >>\"" << dir.string()
        << "/puts\"; exit 0; fi\n"
           "case $url in *train.py) cp \""
        << dir.string()
        << "/program\" \"$out\";; "
           "*) echo \"$url\" >\"$out\";; esac\n";
    std::filesystem::permissions(dir / "bin/curl", std::filesystem::perms::all);
    std::filesystem::permissions(dir / "bin/shutdown", std::filesystem::perms::all);
    JobConfig agreed = job();
    agreed.interpreter = "sh";
    if (right) agreed.script_sha256 = to_hex(sha256(as_bytes(program)));
    std::vector<std::string> own;
    for (size_t i = 0; i < 2; ++i) own.push_back(private_part(data_url(i), result_url(i)));
    std::ofstream(dir / "boot") << render(boot_loader(agreed, links(2)), own);
    ASSERT_EQ(std::system(("cd / && PATH=" + (dir / "bin").string() + ":$PATH bash " +
                           (dir / "boot").string() + " >/dev/null 2>&1")
                              .c_str()),
              0);
    std::ifstream in(dir / "puts");
    const std::string puts((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    EXPECT_NE(puts.find("https://m0.example/r\n"), std::string::npos) << puts;
    EXPECT_NE(puts.find("https://m1.example/r\n"), std::string::npos) << puts;
    EXPECT_EQ(puts.find("private-object") != std::string::npos, right) << puts;
    EXPECT_EQ(puts.find("FLEXROOM-FAILED") == std::string::npos, right) << puts;
  }
  std::filesystem::remove_all(dir);
}

// A malicious member writes its public part as it likes; the script is run by all.
TEST(PublicLinksTest, NothingOfAShellPasses) {
  const PublicLinks good = links(1).front();
  EXPECT_NO_THROW(check_public_links(good, "m"));
  const auto refuse = [&](const auto& change) {
    for (const bool data : {true, false}) {
      PublicLinks bad = good;
      change(data ? bad.data : bad.result);
      EXPECT_THROW(check_public_links(bad, "m"), InputError);
      EXPECT_THROW(boot_loader(job(), {bad, good}), InputError);
    }
  };
  const std::string chars("'\"$`\\\n\r\t ;|<>()~{}[]#*!^@,\0\x7f\x80\xff", 31);
  for (const char c : chars) {
    const std::string text(1, c);
    refuse([&](PublicLink& l) { l.public_prefix = "https://h" + text + "/"; });
    refuse([&](PublicLink& l) { l.public_prefix = "https://h/" + text; });
    refuse([&](PublicLink& l) { l.public_query = "?" + text + "X-Amz-Signature="; });
    refuse([&](PublicLink& l) { l.public_query = text; });
    refuse([&](PublicLink& l) { l.public_query = "?" + text; });
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
  refuse([](PublicLink& l) { l.tail_bytes = 1501; });
  refuse([](PublicLink& l) {
    l.public_query = "";
    l.tail_bytes = 1;
  });
}

TEST(RunInstancesBodyTest, TooManyOrTooLongLinksAreRefused) {
  PublicLinks longest = links(1).front();
  longest.data.path_bytes = longest.result.path_bytes = 1024;
  longest.data.tail_bytes = 1500;
  EXPECT_THROW(run_instances_call(job(), std::vector<PublicLinks>(16, longest), "token", kDate),
               InputError);
}

TEST(RunInstancesBodyTest, ClientTokenCannotAddFields) {
  const OpenCall call = run_instances_call(job(), links(2), "a&UserData=x", kDate);
  EXPECT_NE(to_text(call.text()).find("ClientToken=a%26UserData%3Dx&UserData="), std::string::npos);
  EXPECT_EQ(call.model.body_value("ClientToken")->shown(), "a&UserData=x");
}

// A3: the built-in recipe goes the road of all recipes: model, action, positions, nonce, signature.
TEST(RunInstancesCallTest, IsARecipeLikeAnyOther) {
  for (const size_t n : {2u, 3u, 5u}) {
    const OpenCall call = run_instances_call(job(), links(n), "token", kDate);
    EXPECT_EQ(call.action.text, "ec2:RunInstances");
    EXPECT_EQ(call.text().size(), call.bytes);
    ASSERT_TRUE(call.signing.has_value());
    EXPECT_TRUE(call.hidden_body_at.has_value());
    EXPECT_EQ(call.signing->scope.text(), "20260102/us-east-1/ec2/aws4_request");
    std::map<std::string, Bytes> values = {{"signature", Bytes(64, 'a')}};
    std::vector<std::string> own;
    for (size_t i = 0; i < n; ++i) own.push_back(private_part(data_url(i), result_url(i)));
    std::vector<size_t> used(n);
    for (const CallSlot& placed : call.slots) {
      EXPECT_EQ(placed.position.name, "form UserData");
      EXPECT_GE(placed.offset, call.body_start);
      EXPECT_LE(placed.end, call.bytes);
      if (placed.slot.source == http::SlotSource::kRandom) {
        values[placed.slot.name] = to_bytes("0123456789abcdef0123456789abcdef");
        continue;
      }
      const size_t i = std::stoul(placed.slot.from);
      values[placed.slot.name] = to_bytes(own[i].substr(used[i], placed.slot.length));
      used[i] += placed.slot.length;
    }
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(used[i], own[i].size());
    // What the service decodes is the boot loader.
    const std::string whole = to_text(http::render(call.request, values));
    EXPECT_EQ(whole.size(), call.bytes);
    const std::string user_data = whole.substr(whole.find("&UserData=") + 10);
    const auto decoded = http::base64_decode(*http::percent_decode(user_data));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(to_text(*decoded), render(boot_loader(job(), links(n)), own));
    // Elsewhere only the bytes of whole groups depend on slots.
    const Bytes zeros = call.text();
    for (size_t at = 0; at < whole.size(); ++at) {
      const bool in_slot = std::any_of(
          call.slots.begin(), call.slots.end(),
          [&](const CallSlot& placed) { return at >= placed.offset && at < placed.end; });
      const bool in_signature = at >= *call.signature_offset && at < *call.signature_offset + 64;
      if (!in_slot && !in_signature) {
        ASSERT_EQ(static_cast<char>(zeros[at]), whole[at]) << at;
      }
    }
  }
}

// B15, R2-4: errors print the Authorization line, so nothing in it is the job's to shape.
TEST(RunInstancesCallTest, AccessKeyIdsAreOfTheFixedGrammar) {
  for (const char* bad : {"AKIA EXAMPLE", "AKIA=EXAMPLE", "AKIA/X", "AKIA,X", "", "AKIA\r\nX: y"}) {
    JobConfig other = job();
    other.access_key_id = bad;
    EXPECT_THROW(run_instances_call(other, links(2), "token", kDate), InputError) << bad;
  }
}

// A job's key signs for its own provider, service and region alone.
TEST(RunInstancesCallTest, TheKeyBelongsToTheJob) {
  JobConfig agreed = job();
  agreed.provider = "aws";
  store::RecordMeta key;
  key.name = "joint/key";
  key.value_class = "b64";
  key.bits = 8 * 40;
  key.entropy = 238;
  key.provider = "aws";
  key.purposes = {"sigv4 ec2 us-east-1"};
  EXPECT_NO_THROW(check_key(agreed, key));
  store::RecordMeta other = key;
  other.provider = "other";
  EXPECT_THROW(check_key(agreed, other), InputError);
  other = key;
  other.purposes = {"sigv4 sts us-east-1"};
  EXPECT_THROW(check_key(agreed, other), InputError);
  other = key;
  other.entropy = 127;
  EXPECT_THROW(check_key(agreed, other), InputError);
  agreed.region = "eu-west-1";
  EXPECT_THROW(check_key(agreed, key), InputError);
}

// 34: the time is party 0's word, and every other member holds it to its own clock.
TEST(AgreeOnTimeTest, FarClocksAreRefused) {
  for (const size_t n : {2u, 3u}) {
    const auto honest = support::run_parties(n, [](net::Party& p) { return agree_on_time(p); });
    for (const auto& outcome : honest.outcomes) {
      EXPECT_EQ(outcome.value, honest.outcomes[0].value);
    }
    for (const uint64_t shift : {uint64_t{301}, uint64_t{0} - 310, uint64_t{1} << 62,
                                 uint64_t{1} << 63, uint64_t{0} - (uint64_t{1} << 40)}) {
      const auto run = support::run_parties(
          n, [](net::Party& p) { return agree_on_time(p); },
          [shift](const net::MessageId& message, Bytes& payload) {
            if (message.label != "run/time") return;
            const uint64_t time = Reader(payload, "", 0).u64();
            payload = Writer().u64(time + shift).take();
          },
          std::chrono::seconds(5));
      for (PartyId i = 1; i < n; ++i) {
        EXPECT_EQ(run.outcomes[i].code(), AbortCode::kRefusedByRule) << shift;
      }
    }
  }
}

// What was broadcast before is checked under its own name: equivocation there stays cheating.
TEST(AgreeOnTimeTest, EarlierEquivocationIsNotADisagreementAboutTheTime) {
  const auto run = support::run_parties(
      3,
      [](net::Party& p) {
        (void)p.exchange("earlier", Bytes(8, 1));
        return agree_on_time(p);
      },
      [](const net::MessageId& message, Bytes& payload) {
        if (message.label == "earlier" && message.sender == 0 && message.receiver == 1) {
          payload[0] ^= 1;
        }
      },
      std::chrono::seconds(5));
  bool cheat = false;
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.abort.has_value());
    cheat = cheat || outcome.code() == AbortCode::kEcho;
    EXPECT_NE(outcome.code(), AbortCode::kDisagreement);
  }
  EXPECT_TRUE(cheat);
}

TEST(AmzDateTest, Utc) { EXPECT_EQ(amz_date(1767323045), "20260102T030405Z"); }

}  // namespace
}  // namespace flexroom
