#include "bench/bench_flows.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "bench/flow_member.h"
#include "bench/sandbox_process.h"
#include "room/shipped_flows.h"

namespace flexroom::bench {
namespace {

using nlohmann::json;
using Answers = std::vector<json>;

// The paper (§7.2): Table 5 and its sum, with which CreateAccount is said to go along; Table 6.
constexpr double kPublishedSessionSeconds = 2725.4;
constexpr double kPublishedClassicSeconds = 439;
constexpr size_t kBlockBytes = 224;
const std::map<std::string, size_t> kSessionBlocks = {
    {"SendEmail", 48},        {"SendCaptcha", 58},         {"CheckMFA", 11},
    {"ConsoleSignin", 52},    {"ChallengeOauth", 22},      {"ConsoleRedirect1", 29},
    {"ConsoleRedirect2", 22}, {"CreateAWSCredentials", 24}};
const std::map<std::string, size_t> kClassicBlocks = {
    {"CreateIamRole", 4},     {"AttachSagePolicy", 3},
    {"AttachS3Policy", 3},    {"CreateS3Bucket", 2},
    {"GetAmiID", 3},          {"CheckKeyPair", 3},
    {"CreateKeyPair", 3},     {"CreateSecurityGroup", 3},
    {"StartEC2Instance", 89}, {"CreateSagemakerJob", 7}};

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw InputError(file.string(), "cannot be read");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A flow file whose requests of these steps have at least so many blocks: each gets a header line
/// of public letters behind its Host. What the flow adds (lengths, a signature, a JWE) comes on top
/// of what is written, so that the request as it is sent is a little longer than its blocks.
std::string with_blocks(std::string text, const std::map<std::string, size_t>& blocks) {
  for (const auto& [step, count] : blocks) {
    const size_t name = text.find("name = \"" + step + "\"");
    const size_t begin = text.find("request = \"\"\"\n", name);
    const size_t end = text.find("\n\"\"\"", begin);
    const size_t host = text.find("\nHost: ", begin);
    FLEXROOM_ASSERT(name != std::string::npos && end != std::string::npos && host < end);
    constexpr std::string_view kName = "\nX-Browser: ";
    const size_t wanted = count * kBlockBytes, written = end - begin + kName.size();
    if (wanted <= written) continue;
    const std::string line = std::string(kName) + std::string(wanted - written, 'b');
    text.insert(text.find('\n', host + 1), line);
  }
  return text;
}

/// Two members with a room, and the sandbox.
class FlowRoom {
 public:
  FlowRoom(const std::filesystem::path& folder, MemberProcesses& members)
      : folder_(folder),
        members_(members),
        sandbox_(folder / "cloud", {"--record", (folder / "seen").string()}) {
    const Answers made = members_.run({{"do", "identity"}, {"folder", folder.string()}});
    std::string room = "[room]\nname = \"bench\"\ntriples = \"masked\"\n";
    for (PartyId i = 0; i < members_.size(); ++i) {
      const auto [fd, port] = listen_on_loopback();
      ::close(fd);
      room += fmt::format(
          "[[member]]\nname = \"member-{}\"\naddress = \"127.0.0.1:{}\"\ncertificate = \"{}\"\n", i,
          port, made[i].at("certificate").get<std::string>());
    }
    room += fmt::format(
        "[provider.sandbox]\nhosts = [\"*.amazonaws.com\", \"*.flexroom.example\"]\n"
        "ca_file = \"{}\"\nconnect_to = [\"*:443=127.0.0.1:{}\"]\n",
        sandbox_.ca_file().string(), sandbox_.port());
    (void)members_.run({{"do", "room"}, {"text", room}});
    std::filesystem::copy(room::shipped_flows(), folder_ / "flows",
                          std::filesystem::copy_options::recursive);
  }

  /// The shipped file, altered.
  std::filesystem::path file(const std::string& name, const std::string& as,
                             const std::function<std::string(std::string)>& alter) const {
    const std::filesystem::path out = folder_ / "flows" / (as + ".toml");
    std::ofstream(out) << alter(read_text(folder_ / "flows" / (name + ".toml")));
    return out;
  }
  std::filesystem::path file(const std::string& name) const {
    return folder_ / "flows" / (name + ".toml");
  }
  Answers flow(const std::filesystem::path& file, const json& arguments, const json& inputs) {
    return members_.run({{"do", "flow"},
                         {"file", file.string()},
                         {"arguments", arguments},
                         {"inputs", inputs},
                         {"seen", (folder_ / "seen").string()}});
  }
  void stock(uint64_t triples) { (void)members_.run({{"do", "stock"}, {"triples", triples}}); }

 private:
  const std::filesystem::path folder_;
  MemberProcesses& members_;
  const SandboxProcess sandbox_;
};

double largest(const Answers& answers, const char* key) {
  double out = 0;
  for (const json& one : answers) out = std::max(out, one.at(key).get<double>());
  return out;
}

double sum(const Answers& answers, const char* key) {
  double out = 0;
  for (const json& one : answers) out += one.at(key).get<double>();
  return out;
}

json no_inputs() { return json::array({json::object(), json::object()}); }

/// The account of a prefix: who gives what.
Answers create_account(FlowRoom& room, const std::filesystem::path& file) {
  std::string postal = "1 Long Road, Cambridge";
  postal.resize(96, ' ');
  return room.flow(
      file,
      {{"person", "member-0"},
       {"phone", "member-0"},
       {"payer", "member-1"},
       {"postal", "member-1"},
       {"claimant", "member-1"}},
      json::array({{{"phone-number", "491701234567"}},
                   {{"card-number", "4111111111111111"}, {"postal-address", postal}}}));
}

/// Everything below another prefix: another account.
std::string below(const std::string& prefix, std::string text) {
  const std::string from = "prefix = \"account\"";
  return text.replace(text.find(from), from.size(), "prefix = \"" + prefix + "\"");
}

class Flows {
 public:
  Flows(BenchReport& report, FlowRoom& room, const std::function<bool(std::string_view)>& wants,
        const std::function<void(std::string_view, double)>& progress)
      : report_(report), room_(room), wants_(wants), progress_(progress) {}

  /// What serves no figure that is wanted is left out; an account, and a key for what is signed,
  /// come first.
  void run() {
    first_account();
    if (wants_any({"create_session_sandbox_cold_s", "run_script_classic_published_cold_s"})) {
      sandbox_session();
    }
    const bool sessions =
        wants_any({"create_session_published_cold_s", "create_session_published_warm_s",
                   "create_session_published_bytes", "create_session_published_peak_rss_mib",
                   "run_script_classic_published_warm_s"});
    if (sessions || wants_("create_account_warm_s")) second_account();
    if (sessions) published_session();
    if (wants_any({"run_script_classic_published_cold_s", "run_script_classic_published_warm_s"})) {
      classic();
    }
  }

 private:
  bool wants_any(std::initializer_list<std::string_view> names) const {
    return std::any_of(names.begin(), names.end(), wants_);
  }
  void add(const std::string& name, const Answers& run, double published, const std::string& what,
           const std::string& stock) {
    report_.figures[name] = {
        largest(run, "seconds"), "s", published,
        fmt::format("{}; {}: {} commits, {:.1f} M ANDs, {:.0f} MB between members both ways, peak "
                    "{:.0f} MiB",
                    what, stock, run[0].at("steps").get<size_t>(), 1e-6 * largest(run, "ands"),
                    1e-6 * sum(run, "bytes"), largest(run, "rss_mib"))};
  }
  /// The memory of that run, under a name of its own.
  void add_memory(const std::string& name, const Answers& run, const std::string& of) {
    const bool alone = run[0].at("rss_alone").get<bool>();
    report_.figures[name] = {largest(run, "rss_mib"), "MiB", std::nullopt,
                             fmt::format("largest resident set of a member's process {} {}",
                                         alone ? "in" : "from its start to the end of", of)};
  }
  /// In stock is what a run of that many ANDs takes, and a little more.
  void stock_for(const Answers& run) {
    room_.stock(static_cast<uint64_t>(1.05 * largest(run, "ands")));
  }
  void first_account();
  void sandbox_session();
  void second_account();
  Answers another_account(const std::string& prefix);
  void published_session();
  void classic();

  BenchReport& report_;
  FlowRoom& room_;
  const std::function<bool(std::string_view)>& wants_;
  const std::function<void(std::string_view, double)>& progress_;
  Answers account_;
};

constexpr const char* kCold = "nothing in stock";
constexpr const char* kWarm = "AND triples on disk";

std::string account_text() {
  return "create-account as shipped, from the first contact of the two to the last commit: phantom "
         "identity, mailbox, one-time code, JWE, card, telephone (published: about as "
         "CreateSession)";
}
std::string session_text(bool published) {
  return fmt::format(
      "create-session as shipped, {}: sign-in, key pair kept, account proved, list of keys read",
      published ? "its eight requests at least as long as the paper's 266 blocks of 224 bytes"
                : "at the sandbox's own sizes");
}
std::string classic_text() {
  return "run-script-classic as shipped, its ten requests at least as long as the paper's 120 "
         "blocks of 224 bytes, signed with the key that create-session kept";
}
const json kPerson = {{"person", "member-0"}};
const json kJob = {{"user-data", "IyEvYmluL3NoCnRydWUK"}, {"training-image", "none/such:1"}};

void Flows::first_account() {
  progress_("create-account", 0);
  account_ = create_account(room_, room_.file("create-account"));
  add("create_account_cold_s", account_, kPublishedSessionSeconds, account_text(), kCold);
  add_memory("create_account_peak_rss_mib", account_, "create_account_cold_s");
}

void Flows::sandbox_session() {
  progress_("create-session", 0.1);
  const Answers session = room_.flow(room_.file("create-session"), kPerson, no_inputs());
  add("create_session_sandbox_cold_s", session, kPublishedSessionSeconds, session_text(false),
      kCold);
}

void Flows::second_account() {
  progress_("create-account, warm", 0.2);
  if (wants_("create_account_warm_s")) stock_for(account_);
  const Answers second = another_account("second");
  add("create_account_warm_s", second, kPublishedSessionSeconds, account_text(), kWarm);
}

Answers Flows::another_account(const std::string& prefix) {
  return create_account(
      room_, room_.file("create-account", prefix + "-account",
                        [&](std::string text) { return below(prefix, std::move(text)); }));
}

void Flows::published_session() {
  progress_("create-session of published length", 0.4);
  const auto longer = [&](const std::string& prefix) {
    return room_.file("create-session", prefix + "-session", [&](std::string text) {
      return with_blocks(below(prefix, std::move(text)), kSessionBlocks);
    });
  };
  const Answers cold = room_.flow(longer("second"), kPerson, no_inputs());
  add("create_session_published_cold_s", cold, kPublishedSessionSeconds, session_text(true), kCold);
  report_.figures["create_session_published_bytes"] = {
      sum(cold, "bytes"), "B", std::nullopt,
      "both ways between the members in create_session_published_cold_s; TLS and TCP add 0.5 %"};
  add_memory("create_session_published_peak_rss_mib", cold, "create_session_published_cold_s");
  if (!wants_("create_session_published_warm_s")) return;
  // Of an account without a key too: the rules of a rotation wait ten seconds between two looks.
  (void)another_account("third");
  stock_for(cold);
  const Answers warm = room_.flow(longer("third"), kPerson, no_inputs());
  add("create_session_published_warm_s", warm, kPublishedSessionSeconds, session_text(true), kWarm);
}

void Flows::classic() {
  progress_("run-script-classic of published length", 0.8);
  const auto text_of = [](std::string text) {
    return with_blocks(std::move(text), kClassicBlocks);
  };
  Answers cold;
  if (wants_("run_script_classic_published_cold_s")) {
    cold = room_.flow(room_.file("run-script-classic", "classic", text_of), kJob, no_inputs());
    add("run_script_classic_published_cold_s", cold, kPublishedClassicSeconds, classic_text(),
        kCold);
  }
  if (!wants_("run_script_classic_published_warm_s")) return;
  constexpr uint64_t kMostAnds = 28'000'000;  // where no run before says how many
  cold.empty() ? room_.stock(kMostAnds) : stock_for(cold);
  const Answers warm = room_.flow(
      room_.file("run-script-classic", "second-classic",
                 [&](std::string text) { return text_of(below("second", std::move(text))); }),
      kJob, no_inputs());
  add("run_script_classic_published_warm_s", warm, kPublishedClassicSeconds, classic_text(), kWarm);
}

}  // namespace

void measure_flows(BenchReport& report, const std::filesystem::path& folder,
                   const std::function<bool(std::string_view)>& wants,
                   const std::function<void(std::string_view phase, double fraction)>& progress) {
  MemberProcesses members(2, make_flow_member);
  FlowRoom room(folder, members);
  Flows(report, room, wants, progress).run();
}

}  // namespace flexroom::bench
