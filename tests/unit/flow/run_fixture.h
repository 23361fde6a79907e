#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "flow/run.h"
#include "flow_fixture.h"
#include "support/parties.h"
#include "toy_world.h"

// Histories of flows: real members with real state.db and once.db, a toy engine that is ideal, toy
// providers, a courier that drops and holds, and a kill at any durable step of any member.

namespace flexroom::flow {

namespace fs = std::filesystem;

/// What all members of a history share: the world, and what the ideal engine holds.
struct Toy {
  ToyWorld world;
  std::mutex mutex;
  std::map<Digest, std::string> vault;
  std::map<std::string, ToyAnswer> answers;  // by run, step, attempt
  std::map<size_t, std::string> fates;       // by release: noreq, noans, late, 429, 503, 408
  std::map<size_t, std::string> people;      // by question: wrong, late
  size_t releases = 0, questions = 0;
  int64_t hold = 100;
  std::vector<std::pair<int64_t, ToyRequest>> held;
  std::vector<std::pair<std::string, std::string>> opened;
  std::string input_digits;
  std::map<std::string, std::string> inputs;  // by name, before input_digits
  std::function<std::string()> metadata = [] { return "honest"; };
  /// In the place of the toy world, of its cipher and of its readers; may be empty. `provider`:
  /// nothing where no answer comes.
  std::function<std::optional<ToyAnswer>(const ToyRequest&)> provider;
  std::function<std::string(const std::string& text, const nlohmann::json& key)> encrypt;
  std::function<std::string(const Person::Question&)> reader;
  /// The one-time code of a key in base32, of now or of the time behind it.
  std::function<std::string(const std::string& key, bool next)> code;
  /// Called by everybody behind `armed` and before the request leaves; may throw.
  std::function<void(PartyId)> behind_armed;
  /// Before a person answers.
  std::function<void()> thinks;
  /// The same with the step's name, before it.
  std::function<void(const std::string&)> at_step;
  /// A clock for each member, which only its own waits move: nobody finds a wait over because
  /// another has waited.
  bool own_clocks = false;

  std::optional<ToyAnswer> call(const ToyRequest& request) {
    if (!provider) return world.call(request);
    ++world.now;
    return provider(request);
  }
  /// The courier delivers what it holds no later than that.
  void pass_until(int64_t time) {
    for (auto it = held.begin(); it != held.end();) {
      if (it->first + hold > time) {
        ++it;
        continue;
      }
      world.now = std::max(world.now, it->first + hold);
      (void)call(it->second);
      it = held.erase(it);
    }
    world.now = std::max(world.now, time);
  }
};

class ToyClock : public Clock {
 public:
  explicit ToyClock(Toy& toy) : toy_(toy), own_(toy.world.now) {}
  int64_t now() override {
    const std::lock_guard lock(toy_.mutex);
    return toy_.own_clocks ? own_ : toy_.world.now;
  }
  void wait_until(int64_t seconds) override {
    const std::lock_guard lock(toy_.mutex);
    own_ = std::max(own_, seconds);
    toy_.pass_until(seconds);
  }

 private:
  Toy& toy_;
  int64_t own_;
};

class ToyPerson : public Person {
 public:
  explicit ToyPerson(Toy& toy) : toy_(toy) {}
  std::optional<std::string> answer(const Question& question) override {
    if (toy_.thinks) toy_.thinks();
    const std::lock_guard lock(toy_.mutex);
    const auto fate = toy_.people.find(++toy_.questions);
    if (fate != toy_.people.end()) {
      if (fate->second == "wrong") return "000000";
      toy_.world.now += question.within_seconds + 1;
      return std::nullopt;
    }
    toy_.world.now += 10;
    if (toy_.reader) return toy_.reader(question);
    if (question.shown.empty()) return toy_.world.phone_code();
    return ToyWorld::solution(question.shown.begin()->second);
  }

 private:
  Toy& toy_;
};

class ToyExecutor : public StepExecutor {
 public:
  ToyExecutor(Toy& toy, net::Party& party) : toy_(toy), party_(party) {}

  std::map<std::string, NewSecret> draw(const Flow& flow, const RunId& run) override {
    party_.exchange("toy/draw", {});
    std::map<std::string, NewSecret> out;
    for (const auto& [name, birth] : flow.born) {
      const Digest coin = sha256(as_bytes(run + name));
      std::string value =
          birth.alphabet ? base32_name(coin) : birth.entries[coin[0] % birth.entries.size()];
      if (birth.alphabet) value.resize(birth.length, 'a');
      out[name] = keep(run + " born " + name, value + birth.suffix);
    }
    return out;
  }

  StepAnswer make(const StepCall& call) override {
    party_.exchange("toy/ready", {});
    call.before_release();
    if (toy_.at_step) toy_.at_step(call.step.name);
    if (toy_.behind_armed) toy_.behind_armed(party_.id());
    party_.exchange("toy/a3", {});
    const std::string key = call.run + call.step.name + std::to_string(call.attempt);
    if (party_.id() == 0) release(call, key);
    party_.exchange("toy/answered", {});
    const std::lock_guard lock(toy_.mutex);
    const auto it = toy_.answers.find(key);
    if (it != toy_.answers.end()) return judge(call, it->second, key);
    StepAnswer none;
    none.reason = "the courier has none";
    return none;
  }

 private:
  NewSecret keep(const std::string& where, const std::string& value) {
    const Digest tag = sha256(as_bytes(where + " " + value));
    toy_.vault[tag] = value;
    Writer row;
    row.raw(tag).u32(party_.id());
    NewSecret out;
    out.tag = tag;
    out.length = static_cast<uint32_t>(value.size());
    std::copy_n(tag.begin(), out.set.size(), out.set.begin());
    out.row = SecretBytes(row.take());
    return out;
  }

  std::string text_of(const StepCall& call, const std::string& name) {
    if (name == "run") return call.run;
    if (name == "room") return call.room;
    if (name == "idempotency") return call.idempotency;
    if (name == "client-metadata") return toy_.metadata();
    if (const auto it = call.arguments.find(name); it != call.arguments.end()) return it->second;
    const auto value = call.value(name);
    if (!value) {
      if (const auto it = toy_.inputs.find(name); it != toy_.inputs.end()) return it->second;
      const Input& input = call.flow.inputs.at(name);
      std::string out =
          toy_.input_digits.empty() ? std::string(input.length, '5') : toy_.input_digits;
      out.resize(input.length, '5');
      return out;
    }
    if (value->meta.is_public) return std::string(as_text(value->bytes.reveal()));
    return toy_.vault.at(value->meta.tag);
  }

  /// The request, rendered by the product's own template, and read by the toy's own reader.
  ToyRequest build(const StepCall& call) {
    std::map<std::string, Bytes> values;
    Filling filling;
    filling.access_key_id =
        call.step.sign_service.empty() ? "" : text_of(call, call.flow.key + "/id");
    filling.date_time = "20261129T120000Z";
    filling.public_text = [&](const SlotUse& use) { return text_of(call, use.name); };
    filling.secret = [&](const SlotUse& use) -> std::optional<Filling::Secret> {
      const auto value = call.value(use.name);
      if (!call.flow.inputs.contains(use.name) && (!value || value->meta.is_public))
        return std::nullopt;
      std::string text = text_of(call, use.name);
      auto char_class = http::CharClass::kUrlSafe;
      if (use.is_jwe()) {
        const auto part = [&](const char* end) { return text_of(call, use.key + end); };
        text =
            toy_.encrypt
                ? toy_.encrypt(text, {{"n", part(".n")}, {"e", part(".e")}, {"kid", part(".kid")}})
                : "J" + to_hex(as_bytes(text)) + "." + part(".n");
      } else if (!use.function.empty()) {
        text = toy_.code(text, use.function == "totp next");
        char_class = http::CharClass::kDigits;
      } else {
        char_class = char_class_of(value ? value->meta.value_class
                                         : call.flow.inputs.at(use.name).value_class);
      }
      values[use.slot] = to_bytes(text);
      return Filling::Secret{static_cast<uint32_t>(text.size()), char_class};
    };
    const http::Template request = request_template(call.step, filling);
    values["signature"] = Bytes(64, 'a');
    ToyRequest out = read_request(to_text(http::render(request, values)));
    if (!call.step.sign_service.empty()) {
      out.sign_id = filling.access_key_id;
      out.sign_secret = text_of(call, call.flow.key + "/secret");
      out.sign_service = call.step.sign_service;
    }
    return out;
  }

  void release(const StepCall& call, const std::string& key) {
    const std::lock_guard lock(toy_.mutex);
    toy_.pass_until(toy_.world.now);
    const ToyRequest request = build(call);
    const auto fate = toy_.fates.find(++toy_.releases);
    const std::string what = fate == toy_.fates.end() ? "" : fate->second;
    if (what == "noreq") return;
    if (what == "late" || what == "408") toy_.held.emplace_back(toy_.world.now, request);
    if (what == "late") return;
    if (what == "429" || what == "503" || what == "408") {
      toy_.answers[key] = {std::stoi(what), {}, {}, {}};
      return;
    }
    const std::optional<ToyAnswer> answer = toy_.call(request);
    if (answer && what != "noans") toy_.answers[key] = *answer;
  }

  static const nlohmann::json* walk(const nlohmann::json& from,
                                    const std::vector<std::string>& path) {
    const nlohmann::json* at = &from;
    for (const std::string& step : path) {
      if (at->is_array() && step.find_first_not_of("0123456789") == std::string::npos &&
          std::stoul(step) < at->size()) {
        at = &(*at)[std::stoul(step)];
      } else if (at->is_object() && at->contains(step)) {
        at = &(*at)[step];
      } else {
        return nullptr;
      }
    }
    return at;
  }

  static std::optional<std::string> select(const Selector& at, const ToyAnswer& answer,
                                           const nlohmann::json* item, ValueClass value_class) {
    if (at.kind == Selector::Kind::kCookie) {
      const auto it = answer.cookies.find(at.name);
      return it == answer.cookies.end() ? std::nullopt : std::optional(it->second);
    }
    if (at.kind == Selector::Kind::kHeader) {
      const auto it = answer.headers.find(at.name);
      if (it == answer.headers.end() || !it->second.starts_with(at.before)) return std::nullopt;
      return it->second.substr(at.before.size());
    }
    if (at.kind == Selector::Kind::kPattern) return pattern(at, answer.text);
    const nlohmann::json* const found = walk(at.in_item ? *item : answer.body, at.steps);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    std::string text = *found;
    if (!at.literal) return text;
    const size_t behind = text.find(*at.literal);
    if (behind == std::string::npos) return std::nullopt;
    text = text.substr(behind + at.literal->size());
    size_t size = 0;
    while (size < text.size() && set_of(value_class).contains(text[size])) ++size;
    return text.substr(0, size);
  }

  /// What stands behind the literal up to the terminator, without blanks; of no terminator: "".
  static std::optional<std::string> pattern(const Selector& at, const std::string& text) {
    const size_t behind = text.find(*at.literal);
    if (behind == std::string::npos) return std::nullopt;
    const size_t begin = behind + at.literal->size();
    const size_t end = at.terminator.empty() ? begin : text.find_first_of(at.terminator, begin);
    std::string out = text.substr(begin, end - begin);
    std::erase(out, ' ');
    return out;
  }

  const nlohmann::json* find_item(const StepCall& call, const ToyAnswer& answer) {
    const nlohmann::json* const list = walk(answer.body, call.step.item->array);
    if (list == nullptr) return nullptr;
    for (const nlohmann::json& one : *list) {
      bool fits = true;
      for (const Filter& filter : call.step.item->filters) {
        const nlohmann::json* const value = walk(one, filter.path);
        if (value == nullptr) {
          fits = false;
        } else if (!filter.equal) {
          for (const std::string& no : call.excluded(names_in(filter.value)->front()))
            fits &= *value != no;
        } else if (!filter.is_text) {
          fits &= value->dump() == filter.value;
        } else {
          fits &= *value == filled(call, filter.value);
        }
      }
      if (fits) return &one;
    }
    return nullptr;
  }

  std::string filled(const StepCall& call, std::string text) {
    const auto names = names_in(text);
    for (const std::string& name : *names) {
      const std::string hole = "{{" + name + "}}";
      text.replace(text.find(hole), hole.size(), text_of(call, name));
    }
    return text;
  }

  StepAnswer judge(const StepCall& call, const ToyAnswer& answer, const std::string& where) {
    StepAnswer out;
    out.status = answer.status;
    const Step& step = call.step;
    const auto fail = [&](const std::string& why) {
      out = StepAnswer();
      out.status = answer.status;
      out.failure = why;
      return std::move(out);
    };
    if (!step.is_ok(answer.status)) {
      if (!step.code) return out;
      const auto code = select(step.code->at, answer, nullptr, ValueClass::kRaw);
      out.code = code.value_or("other");
      return out;
    }
    const nlohmann::json* item = nullptr;
    if (step.item) {
      item = find_item(call, answer);
      if (item == nullptr) {
        out.none = true;
        return out;
      }
    }
    for (const Keep& keep_of : step.keeps) {
      const auto value = select(keep_of.at, answer, item, keep_of.value_class);
      if (!value && keep_of.missing_same) continue;
      if (!value) return fail(keep_of.name + " not found");
      NewSecret& kept = out.kept[keep_of.name] = keep(where + " " + keep_of.name, *value);
      // The vault has the text: toys compute with it.
      if (keep_of.decode) {
        kept.length = decoded_bytes(*keep_of.decode, static_cast<uint32_t>(value->size())).value();
      }
    }
    for (const Assertion& one : step.asserts) {
      const auto value = select(one.at, answer, item, ValueClass::kRaw);
      if (!one.equals && value) return fail("assert " + one.name);
      if (!one.equals) continue;
      if (!value || *value != filled(call, *one.equals)) return fail("assert " + one.name);
    }
    for (const Open& open : step.opens) {
      const auto value = select(*open.at, answer, item, open.value_class);
      if (!value) return fail(open.name + " not found");
      out.opened[open.name] = *value;
      toy_.opened.emplace_back(open.name, *value);
    }
    return out;
  }

  Toy& toy_;
  net::Party& party_;
};

/// A kill of one member, or of each, at the k-th durable step that it takes in a session.
struct Kill {
  PartyId member = 0;
  size_t at = 0;
  bool all = false;
  bool hits(PartyId self) const { return all || member == self; }
};

class History {
 public:
  /// `first_session`: histories of one number draw the same.
  explicit History(size_t n, uint64_t first_session = 0) : n_(n), sessions_(first_session) {
    // In memory where there is such a place: a history takes thousands of durable steps.
    std::string name =
        fs::exists("/dev/shm") ? "/dev/shm/flexroom-flow-XXXXXX" : "/tmp/flexroom-flow-XXXXXX";
    root_ = mkdtemp(name.data());
    rid_[0] = 7;
  }
  ~History() { fs::remove_all(root_); }
  History(const History&) = delete;

  /// This member's state, looked at between sessions.
  template <typename Look>
  auto look(PartyId member, Look look) {
    auto state = open_state(member);
    auto once = open_once(member);
    RunStore store(*state, *once, rid_, toy.world.now);
    return look(store);
  }
  /// The room's secrets at this member, between sessions.
  template <typename Look>
  auto look_at_secrets(PartyId member, Look look) {
    auto state = open_state(member);
    store::SecretStore secrets(*state, rid_);
    return look(secrets);
  }
  enum class Op { kRun, kGoOn, kAbandon };
  /// One session of all members: how it ended at each.
  std::vector<std::string> session(const Flow& flow, Op op = Op::kRun,
                                   std::optional<Kill> kill = std::nullopt,
                                   net::Tamper tamper = nullptr) {
    steps_.assign(n_, 0);
    log.clear();
    told.clear();
    waits.clear();
    doubts.clear();
    released.clear();
    ++sessions_;
    const auto run = support::run_parties(
        n_, [&](net::Party& party) { return one(party, flow, op, kill); }, std::move(tamper),
        patience, sessions_);
    std::vector<std::string> out;
    for (const auto& outcome : run.outcomes) {
      out.push_back(outcome.value ? *outcome.value : "abort " + std::string(outcome.abort->what()));
    }
    toy.answers.clear();
    return out;
  }
  /// Runs until it is done at all, at most so often.
  bool finish(const Flow& flow, size_t runs = 7) {
    for (size_t k = 0; k < runs; ++k) {
      // Killed behind its last commit: there is nothing to go on with.
      if (!flow.born.empty() && is_done_at_all(flow)) return true;
      last = session(flow);
      if (done(last)) return true;
      toy.pass_until(toy.world.now + 1);
    }
    return false;
  }
  bool is_done_at_all(const Flow& flow) {
    for (PartyId i = 0; i < n_; ++i) {
      const bool done = look(i, [&](RunStore& store) {
        const std::vector<RunState> all = store.runs();
        return std::any_of(all.begin(), all.end(), [&](const RunState& run) {
          return run.head.flow == flow.name && run.done;
        });
      });
      if (!done) return false;
    }
    return true;
  }
  static bool done(const std::vector<std::string>& outcome) {
    return std::all_of(outcome.begin(), outcome.end(),
                       [](const std::string& o) { return o == "done"; });
  }
  /// Durable steps that a member took in the last session.
  size_t steps(PartyId member) const { return steps_[member]; }

  /// The value of a name of the room, if all members have the same version of it.
  std::string current(const std::string& prefix, const std::string& name) {
    std::optional<ValueMeta> first;
    std::string out;
    for (PartyId i = 0; i < n_; ++i) {
      const auto value = look(i, [&](RunStore& store) { return store.room_value(prefix, name); });
      if (i == 0 && !value) return "";
      if (i == 0) {
        first = value->meta;
        out = value->meta.is_public ? std::string(as_text(value->bytes.reveal()))
                                    : toy.vault.at(value->meta.tag);
      } else if (!value || !(value->meta == *first)) {
        return "split";
      }
    }
    return out;
  }

  fs::path state_of(PartyId member) const { return root_ / std::to_string(member) / "state.db"; }
  fs::path once_of(PartyId member) const { return root_ / std::to_string(member) / "once.db"; }
  void save(PartyId member, const std::string& as) {
    fs::copy_file(state_of(member), root_ / as, fs::copy_options::overwrite_existing);
  }
  void restore(PartyId member, const std::string& from) {
    for (const char* end : {"-wal", "-shm"}) fs::remove(state_of(member).string() + end);
    fs::copy_file(root_ / from, state_of(member), fs::copy_options::overwrite_existing);
  }
  void lose_once(PartyId member) {
    for (const char* end : {"", "-wal", "-shm"}) fs::remove(once_of(member).string() + end);
  }

  size_t n() const { return n_; }
  std::map<std::string, std::string> arguments = {
      {"person", "m0"}, {"phone", "m0"}, {"payer", "m1"}, {"postal", "m1"}, {"claimant", "m1"}};
  Toy toy;
  /// RunTerms::secret, at all members.
  std::function<std::optional<StoredValue>(std::string_view name)> secret;
  std::vector<LogLine> log;                       // of member 0
  std::map<PartyId, std::vector<Waiting>> waits;  // of the last session
  /// Hears of every durable step, with that member's disk.
  std::function<void(PartyId, std::string_view, RunStore&)> at_durable;
  std::vector<std::string> told;          // of --abandon, at member 0
  std::map<PartyId, std::string> doubts;  // FlowRun::in_doubt() at the end of the last session
  std::map<PartyId, bool> released;
  std::map<PartyId, Outlook> outlooks;  // of the last session that met
  std::map<PartyId, Ending> endings;    // of the last --abandon, as its log has it
  std::map<PartyId, GoingOn> going_on;  // of the last --continue
  std::vector<std::string> last;
  std::chrono::seconds patience{20};  // of each member with each other

 private:
  static const net::Identity& identity(PartyId i) {
    static const std::vector<net::Identity> all = [] {
      std::vector<net::Identity> out;
      for (int k = 0; k < 4; ++k) out.push_back(net::Identity::make("m" + std::to_string(k)));
      return out;
    }();
    return all[i];
  }
  std::unique_ptr<store::SealedDb> open_state(PartyId i) {
    const fs::path key = root_ / (std::to_string(i) + ".key");
    return std::make_unique<store::SealedDb>(state_of(i), [key](bool, Bytes&) {
      return fs::exists(key) ? store::SealKey::load(key) : store::SealKey::create(key);
    });
  }
  std::unique_ptr<store::OnceDb> open_once(PartyId i) {
    return std::make_unique<store::OnceDb>(once_of(i), root_ / (std::to_string(i) + ".once"), false,
                                           store::OnceDb::Limits{16, 64});
  }

  /// What one member has in a session.
  struct Place {
    Place(History& h, net::Party& party)
        : self(party.id()),
          state(h.open_state(self)),
          once(h.open_once(self)),
          clock(h.toy),
          person(h.toy),
          executor(h.toy, party) {
      for (PartyId i = 0; i < h.n_; ++i) {
        keys.push_back(h.identity(i).signing_key());
        names.push_back("m" + std::to_string(i));
      }
    }
    const PartyId self;
    std::unique_ptr<store::SealedDb> state;
    std::unique_ptr<store::OnceDb> once;
    ToyClock clock;
    ToyPerson person;
    ToyExecutor executor;
    std::vector<net::SigningKey> keys;
    std::vector<std::string> names;
  };

  RunTerms terms_of(net::Party& party, Place& at, const std::optional<Kill>& kill) {
    const PartyId self = at.self;
    return {{party, identity(self), at.keys, at.names, rid_},
            *at.state,
            *at.once,
            at.clock,
            at.executor,
            at.person,
            [this, self](const LogLine& line) {
              if (self == 0) log.push_back(line);
            },
            [this, self, &at, &kill](std::string_view step) {
              if (++steps_[self] == (kill && kill->hits(self) ? kill->at : 0)) {
                throw ProtocolAbort(AbortCode::kCancelled, step, "killed");
              }
              if (!at_durable) return;
              RunStore store(*at.state, *at.once, rid_, at.clock.now());
              at_durable(self, step, store);
            },
            [this, self](const Waiting& one) {
              const std::lock_guard lock(toy.mutex);
              waits[self].push_back(one);
            },
            {},
            secret};
  }

  void drive(FlowRun& run, PartyId self, Op op) {
    if (op == Op::kAbandon) {
      const Ending shown = run.prepare_abandon();
      run.abandon([&](const Ending& ending) {
        if (self == 0) told = ending.left;
        const std::lock_guard lock(toy.mutex);
        EXPECT_EQ(shown.erased, ending.erased);
        endings[self] = ending;
      });
    } else if (op == Op::kGoOn) {
      const GoingOn shown = run.prepare_go_on();
      {
        const std::lock_guard lock(toy.mutex);
        going_on[self] = shown;
      }
      run.go_on();
    } else {
      // As the product does, before it asks for the approval.
      const Outlook seen = run.contact();
      {
        const std::lock_guard lock(toy.mutex);
        outlooks[self] = seen;
      }
      run.run();
    }
  }

  std::string one(net::Party& party, const Flow& flow, Op op, const std::optional<Kill>& kill) {
    const PartyId self = party.id();
    Place at(*this, party);
    std::map<std::string, std::string> given = arguments;
    std::erase_if(given, [&](const auto& argument) {
      return argument.first != "claimant" && !flow.arguments.contains(argument.first);
    });
    FlowRun run(terms_of(party, at, kill), flow, given);
    struct Standing {
      History& h;
      const FlowRun& run;
      const PartyId self;
      ~Standing() {
        const std::lock_guard lock(h.toy.mutex);
        h.doubts[self] = run.in_doubt();
        h.released[self] = run.released();
      }
    } standing{*this, run, self};
    try {
      drive(run, self, op);
      return "done";
    } catch (const FlowStop& stop) {
      return std::string(stop.kind() == FlowStop::Kind::kRestored ? "restored: " : "stop: ") +
             stop.what();
    }
  }

  const size_t n_;
  fs::path root_;
  store::RoomId rid_{};
  std::vector<size_t> steps_;
  uint64_t sessions_;
};

}  // namespace flexroom::flow
