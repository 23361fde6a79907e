#include "flexroom/doctor.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <functional>
#include <optional>

#include "base/codec.h"
#include "base/display.h"
#include "base/fd.h"
#include "call/link_check.h"
#include "call/provider_connection.h"
#include "call/recipe.h"
#include "config/config.h"
#include "config/toml.h"
#include "flexroom/version.h"
#include "net/address.h"
#include "net/identity.h"
#include "net/tcp_stream.h"
#include "room/doctor_members.h"
#include "room/doctor_service.h"
#include "room/failure.h"
#include "room/local_checks.h"
#include "store/open_mark.h"

namespace flexroom {
namespace room {
namespace {

using State = Check::State;

constexpr std::chrono::seconds kPatience{5};
constexpr int64_t kDay = 86'400;
constexpr const char* kIdentityRemedy =
    "bring the files of the identity back from your backup; where there is none, make a new one "
    "with `flexroom init --identity` and put its certificate into room.toml at every member";
constexpr const char* kMeetRemedy =
    "start `flexroom doctor --with-members` at all members at the same time; if they do not find "
    "each other, look at the lines of port and members that `flexroom doctor` prints at each";

std::string day(std::time_t when) { return fmt::format("{:%Y-%m-%d %H:%M}Z", fmt::gmtime(when)); }

/// Files, and who this member is: the rest hangs on them.
struct Setting {
  MemberConfig member;
  RoomConfig room;
  PartyId self = 0;
};

/// When each of this member's own links ends, as the link itself says.
std::string ends_of(const LinksConfig& own) {
  std::string out;
  const auto add = [&](const char* name, const std::optional<std::string>& url) {
    if (!url) return;
    const auto end = link_end(*url);
    out += fmt::format("\n{}: {}", name, end ? "until " + utc_text(*end) : "says no end");
  };
  add("data_url", own.data_url);
  add("result_url", own.result_url);
  add("result_get_url", own.result_get_url);
  add("loader_url", own.loader_url);
  add("loader_put_url", own.loader_put_url);
  return out;
}

class Doctor {
 public:
  explicit Doctor(const ExamineOptions& options) : options_(options) {}

  std::vector<Check> run() {
    versions();
    processor();
    clock();
    memory_lock();
    std::optional<Setting> setting;
    looked("configuration", "correct the file as docs/files.md says", [&] {
      MemberConfig member = MemberConfig::load(options_.member_file);
      RoomConfig room = RoomConfig::load(member.room_file);
      const PartyId self = room.member_id(member.name);
      setting = Setting{std::move(member), std::move(room), self};
      return Check{"", State::kOk,
                   fmt::format("{} of room {}, {} members", setting->member.name,
                               setting->room.name, setting->room.members.size()),
                   ""};
    });
    if (setting) {
      identity(*setting);
      disk(*setting);
      open_marks(*setting);
      port(*setting);
      if (options_.only_here) return std::move(checks_);
      options_.with_members ? compare(*setting) : members(*setting);
      services(*setting);
    }
    return std::move(checks_);
  }

 private:
  /// What `look` throws is what is wrong. `otherwise`: what to do where neither it nor what was
  /// thrown says so.
  void looked(const std::string& name, const std::string& otherwise,
              const std::function<Check()>& look) {
    Check check;
    try {
      check = look();
    } catch (const std::exception& error) {
      const Error::Fields fields = describe(error, false);
      const bool placed = !fields.place.empty();
      check.state = State::kProblem;
      check.detail = placed ? fields.place + ": " + fields.problem : fields.text;
      check.remedy = fields.remedy;
    }
    check.name = name;
    check.detail = display_lines(check.detail);
    if (check.state != State::kOk && check.remedy.empty()) check.remedy = otherwise;
    checks_.push_back(std::move(check));
  }

  void versions() {
    looked("versions", "install flexroom again", [] {
      return Check{"", State::kOk,
                   fmt::format("flexroom {}, {}", kVersion, OpenSSL_version(OPENSSL_VERSION)), ""};
    });
  }

  void processor() {
    looked("processor", "use another machine", [] {
      const bool fit = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
                       __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
      return fit ? Check{"", State::kOk, "AES, PCLMUL, AVX2 and BMI2 are there", ""}
                 : Check{"", State::kProblem, "AES, PCLMUL, AVX2 or BMI2 is missing",
                         "use another machine"};
    });
  }

  void clock() {
    looked("clock", "start an NTP service", [] {
      timex state{};
      const bool known = ::adjtimex(&state) >= 0;
      const std::string now = day(std::time(nullptr));
      if (known && (state.status & STA_UNSYNC) == 0) {
        return Check{"", State::kOk, now + ", synchronised", ""};
      }
      return Check{"", State::kWarning, now + ", and nothing says that it is synchronised",
                   "members may differ by five minutes: start an NTP service, or compare"};
    });
  }

  void memory_lock() {
    looked("memory lock", "raise the limit (ulimit -l, LimitMEMLOCK=)", [] {
      rlimit limit{};
      (void)getrlimit(RLIMIT_MEMLOCK, &limit);
      constexpr size_t kTry = size_t{1} << 16;
      void* const page =
          mmap(nullptr, kTry, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      const bool works = page != MAP_FAILED && mlock(page, kTry) == 0;
      if (page != MAP_FAILED) munmap(page, kTry);
      const std::string size = limit.rlim_cur == RLIM_INFINITY
                                   ? "without limit"
                                   : fmt::format("up to {} KiB", limit.rlim_cur >> 10);
      if (works) return Check{"", State::kOk, "memory can be locked, " + size, ""};
      return Check{"", State::kWarning, "memory cannot be locked: secrets may reach the swap",
                   "raise the limit (ulimit -l, LimitMEMLOCK=), or run without swap"};
    });
  }

  void identity(const Setting& setting) {
    looked("identity", kIdentityRemedy, [&] {
      const net::Identity own = net::Identity::load(setting.member.identity_dir);
      const MemberEntry& entry = setting.room.members[setting.self];
      const std::string shown = to_hex(own.fingerprint());
      if (shown != entry.certificate_sha256) {
        return Check{
            "", State::kProblem,
            fmt::format("{} holds {}, room.toml says {}", setting.member.identity_dir.string(),
                        shown, entry.certificate_sha256),
            "put the right certificate into room.toml at every member"};
      }
      const std::time_t end = own.not_after(), now = std::time(nullptr);
      if (end < now + 30 * kDay) {
        return Check{"", State::kWarning, "the certificate ends " + day(end),
                     "members are pinned and go on; make a new identity when it suits all"};
      }
      return Check{"", State::kOk, "fingerprint " + shown + " as in room.toml", ""};
    });
  }

  void disk(const Setting& setting) {
    looked("disk", "name another state_dir in member.toml, or mend this one", [&] {
      require_disk(setting.member);
      const std::filesystem::path folder = existing(setting.member.state_dir);
      return Check{"", State::kOk,
                   fmt::format("{} MB free at {}", free_bytes(folder) / 1'000'000,
                               setting.member.state_dir.string()),
                   ""};
    });
  }

  /// What sessions that ended without a word left (store/open_mark.h); whose room that is, `status`
  /// knows, which opens the state.
  void open_marks(const Setting& setting) {
    for (const auto& left : store::OpenMark::left(setting.member.state_dir)) {
      looked("open session", "run `flexroom status`", [&] {
        return Check{"", State::kWarning,
                     fmt::format("{} is not counted yet: {}", store::to_string(left.state),
                                 left.file.string()),
                     "find out why it ended; the next command of its room counts it. `flexroom "
                     "status` says which room that is"};
      });
    }
  }

  /// Members with a lower number listen for those with a higher one.
  void port(const Setting& setting) {
    if (setting.self + 1 == setting.room.members.size()) return;
    const Endpoint where =
        setting.member.listen.value_or(setting.room.members[setting.self].address);
    looked("port", "take another port in room.toml", [&] {
      const net::Resolved resolved = net::resolve(where.host, where.port, true);
      if (!resolved.problem.empty()) {
        return Check{"", State::kProblem,
                     fmt::format("{}: {}", display(where.host), resolved.problem),
                     "correct the address in room.toml, or `listen` in member.toml"};
      }
      const net::SocketAddress& address = resolved.addresses.front();
      const Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      const int result = fd.valid() ? ::bind(fd.get(), address.get(), address.size) : -1;
      const int failed = errno;
      const std::string name = fmt::format("{}:{}", display(where.host), where.port);
      if (result == 0) return Check{"", State::kOk, name + " is free to listen at", ""};
      if (failed == EADDRINUSE) {
        return Check{"", State::kWarning, name + " is in use",
                     "another flexroom command waits there, or another program: end it, or take "
                     "another port in room.toml"};
      }
      if (failed == EADDRNOTAVAIL) {
        return Check{"", State::kProblem, name + " is no address of this machine",
                     "write listen = \"HOST:PORT\" with an address of this machine into "
                     "member.toml, and forward the public one to it"};
      }
      return Check{"", State::kProblem, name + ": " + std::strerror(failed),
                   "take another port in room.toml"};
    });
  }

  void members(const Setting& setting) {
    for (PartyId i = 0; i < setting.room.members.size(); ++i) {
      const MemberEntry& member = setting.room.members[i];
      if (i == setting.self) continue;
      if (i > setting.self) {
        looked("member " + member.name, "", [] {
          return Check{"", State::kOk, "connects to this one", ""};
        });
        continue;
      }
      looked("member " + member.name, "correct its address in room.toml", [&] {
        const std::string at =
            fmt::format("{}:{}", display(member.address.host), member.address.port);
        try {
          net::connect_tcp(member.address.host, member.address.port, kPatience)->close();
          return Check{"", State::kOk, "listens at " + at, ""};
        } catch (const ProtocolAbort& abort) {
          return Check{"", State::kWarning, at + ": " + abort.detail(),
                       "it listens only while one of its commands waits; then look at address, "
                       "firewall and forwarding"};
        }
      });
    }
  }

  void compare(const Setting& setting) {
    std::vector<Check> found;
    looked("members", kMeetRemedy, [&] {
      compare_with_members(setting.room, options_, found);
      const bool same = std::none_of(found.begin(), found.end(), [](const Check& check) {
        return check.state == State::kProblem;
      });
      return Check{"", State::kOk, same ? "all are there, and nothing differs" : "all are there",
                   ""};
    });
    for (Check& check : found) checks_.push_back(std::move(check));
  }

  void services(const Setting& setting) {
    for (const Provider& provider : setting.room.providers) {
      looked("authority of " + provider.name, "correct `ca_file` in room.toml", [&] {
        return Check{"", State::kOk, chain_policy(provider, "").trust.description(), ""};
      });
    }
    if (!options_.job_or_recipe.empty()) return services_of_file(setting);
    for (const Provider& provider : setting.room.providers) {
      for (const Endpoint& one : named_services(setting.room, provider)) {
        service(setting, provider, one);
      }
      rules_for_nothing(setting, provider);
    }
  }

  /// Rules of connect_to for hosts that the entry does not serve.
  void rules_for_nothing(const Setting& setting, const Provider& provider) {
    for (const Provider::ConnectTo& rule : provider.connect_to) {
      if (rule.host == "*" || setting.room.serves(provider, rule.host)) continue;
      looked(
          fmt::format("service {}:{}", rule.host, rule.port == 0 ? "*" : std::to_string(rule.port)),
          "", [&] {
            return Check{"", State::kWarning,
                         fmt::format("stands in connect_to of {}, whose `hosts` do not list it: "
                                     "nothing of {} goes there",
                                     provider.name, provider.name),
                         "add it to `hosts`, or take the rule out"};
          });
    }
  }

  void services_of_file(const Setting& setting) {
    std::optional<std::string> provider, host;
    looked("file", "name a job or a recipe (docs/files.md, docs/recipes.md)", [&] {
      if (TomlTable::load(options_.job_or_recipe).has("recipe")) {
        const Recipe recipe = Recipe::load(options_.job_or_recipe);
        provider = recipe.provider;
        host = recipe.host;
        return Check{"", State::kOk, "recipe " + recipe.name, ""};
      }
      const JobConfig job = JobConfig::load(options_.job_or_recipe);
      provider = job.provider;
      host = fmt::format("ec2.{}.amazonaws.com", job.region);
      links(job);
      return Check{"", State::kOk, "job " + job.name, ""};
    });
    if (!provider) return;
    const Provider* found = nullptr;
    looked("provider", "name one of room.toml's providers, which serves the host", [&] {
      found = &setting.room.provider_for(*provider, *host);
      return Check{"", State::kOk, found->name, ""};
    });
    if (found != nullptr) service(setting, *found, {*host, 443});
  }

  void service(const Setting& setting, const Provider& provider, const Endpoint& one) {
    looked(fmt::format("service {}:{}", one.host, one.port), "correct `ca_file` in room.toml",
           [&] { return examine_service(setting.room, setting.self, provider, one); });
  }

  void links(const JobConfig& job) {
    if (options_.links.empty()) return;
    looked("links", "make new links, and write them into the file", [&] {
      const LinksConfig own = LinksConfig::load(options_.links);
      const std::vector<std::string> notes = require_good_links(
          own, options_.links.string(), std::chrono::minutes(job.deadline_minutes),
          std::chrono::system_clock::now());
      std::string all = notes.empty() ? "they last beyond the deadline" : "";
      for (const std::string& note : notes) all += (all.empty() ? "" : "\n") + note;
      return Check{"", State::kOk, all + ends_of(own), ""};
    });
  }

  const ExamineOptions& options_;
  std::vector<Check> checks_;
};

}  // namespace
}  // namespace room

std::vector<Check> examine(const ExamineOptions& options) { return room::Doctor(options).run(); }

}  // namespace flexroom
