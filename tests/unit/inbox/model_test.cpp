#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <tuple>

#include "inbox/judge.h"

// The model of members.md §5 to §8 (m4_proposals.py) over the product's own judges: honest A and B,
// a member that signs anything, keeps every signature, shows different bytes to different members
// and starts runs whenever it likes; crash, state.db put back, clock set back, another change of
// terms or versions in between. Every reachable state is visited. Then each condition is left out,
// and exactly its violation must appear.

namespace flexroom::inbox {
namespace {

enum class Without {
  kNothing,
  kDigest,
  kTerms,
  kVersions,
  kOwnDecision,
  kWithdrawnInOnce,
  kWindow,
  kFloor,
  kArmed,
  kCount,
  kStopOnWithdrawal,
  kAlone
};

Digest digest_of(int x) {
  Digest d{};
  d[0] = static_cast<uint8_t>(x + 1);
  return d;
}

struct Session {
  int d = -1, i = 0;  // d < 0: none
  size_t released = 0;
  bool late = false;
  auto operator<=>(const Session&) const = default;
};
using Signature = std::tuple<int, int, int>;  // what, terms, version
struct Honest {
  int shown = -1, decision = 0;  // 0 none, 1 yes, 2 no
  std::set<Signature> signatures;
  std::set<std::pair<int, int>> marks;
  Session session;
  int once = 0;  // decision as once.db knows it: 0 none, 2 no, 3 no, and lost
  auto operator<=>(const Honest&) const = default;
};
struct World {
  Honest member[2];
  int terms = 1, version = 1;
  bool late = false;
  bool clock[2] = {false, false};
  std::vector<std::pair<int, int>> released;
  std::string violation;
  auto operator<=>(const World&) const = default;
};

class Explorer {
 public:
  Explorer(uint32_t times, Without without) : times_(times), without_(without) {}
  /// Number of states; the violations are in found().
  size_t run() {
    std::set<World> seen = {World{}};
    std::deque<World> todo = {World{}};
    while (!todo.empty()) {
      const World w = todo.front();
      todo.pop_front();
      if (!w.violation.empty()) {
        found_.insert(w.violation);
        continue;
      }
      moves(w, [&](World next) {
        if (seen.insert(next).second) todo.push_back(std::move(next));
      });
    }
    return seen.size();
  }
  const std::set<std::string>& found() const { return found_; }

 private:
  using Put = std::function<void(World)>;
  bool no(Without what) const { return without_ == what; }

  static Counts as_condition(Without what) {
    switch (what) {
      case Without::kDigest:
        return Counts::kDigest;
      case Without::kTerms:
        return Counts::kTerms;
      case Without::kVersions:
        return Counts::kVersions;
      case Without::kWindow:
        return Counts::kLate;
      default:
        return Counts::kYes;
    }
  }
  /// Some approval of that member counts for (d, now).
  bool signed_by(const World& w, int o, int d, uint64_t now) const {
    Asked asked;
    asked.complete = digest_of(d);
    asked.terms = digest_of(w.terms);
    asked.versions = digest_of(w.version);
    asked.now = now;
    asked.key = net::SigningKey{};
    for (const auto& [what, terms, version] : w.member[o].signatures) {
      GivenApproval given;
      given.body.proposal = digest_of(what);
      given.body.terms = digest_of(terms);
      given.body.versions = digest_of(version);
      given.body.not_after = 0;
      Failures why = fails(given, asked);
      why.reset(static_cast<size_t>(as_condition(without_)));
      if (why.none()) return true;
    }
    return false;
  }
  bool starts(const World& w, int h, int d, int i) const {
    const Honest& m = w.member[h];
    const uint64_t now = w.clock[h] ? 1 : 0;
    if (!signed_by(w, 0, d, now) || !signed_by(w, 1, d, now)) return false;
    OwnMarks marks;
    marks.consent = (m.decision == 1 && m.once != 2) && (no(Without::kDigest) || m.shown == d);
    marks.armed = m.marks.contains({d, i});
    marks.used = 0;
    for (const auto& [what, index] : m.marks) marks.used += what == d && index != i;
    marks.times = times_;
    marks.allowed = i <= static_cast<int>(times_);
    marks.now = now;
    marks.floor = w.late ? 1 : 0;
    marks.late = now > 0;
    Stops why = stops(marks);
    const auto drop = [&](Without what, Stop stop) {
      if (no(what)) why.reset(static_cast<size_t>(stop));
    };
    drop(Without::kOwnDecision, Stop::kConsent);
    drop(Without::kWindow, Stop::kWindow);
    drop(Without::kFloor, Stop::kFloor);
    drop(Without::kArmed, Stop::kArmed);
    drop(Without::kCount, Stop::kCount);
    drop(Without::kCount, Stop::kIndex);
    return why.none();
  }
  void decisions(const World& w, int h, const Put& put) const {
    const Honest& m = w.member[h];
    World next = w;
    Honest& n = next.member[h];
    if (m.shown < 0) {
      for (int d : {0, 1}) {
        n.shown = d;
        put(next);
      }
    } else if (m.decision == 0 && m.once == 0 && !w.late) {
      n.decision = 1;
      n.signatures.emplace(m.shown, w.terms, w.version);
      put(next);
    }
    next = w;
    if (m.decision == 1) {  // taken back: ends the own session
      n.decision = 2;
      if (!no(Without::kStopOnWithdrawal)) n.session = {};
      n.once = no(Without::kWithdrawnInOnce) ? 3 : 2;
      put(next);
    } else if (m.decision == 2) {  // state.db of before put back
      n.decision = 1;
      put(next);
    }
    next = w;
    if (m.session.d >= 0) {  // crash, or the session dies
      n.session = {};
      put(next);
    }
  }
  void surroundings(const World& w, const Put& put) const {
    const bool idle =
        (w.member[0].session.d < 0 && w.member[1].session.d < 0) || no(Without::kAlone);
    World next = w;
    if (w.terms == 1 && idle) {
      next.terms = 2;
      put(next);
    }
    next = w;
    if (w.version == 1 && idle) {
      next.version = 2;
      put(next);
    }
    next = w;
    if (!w.late) {
      next.late = next.clock[0] = next.clock[1] = true;
      put(next);
    }
    for (int h : {0, 1}) {
      next = w;
      next.clock[h] = false;
      if (w.clock[h]) put(next);
    }
  }
  void release(const World& w, const Put& put) const {
    const Session &a = w.member[0].session, &b = w.member[1].session;
    if (a.d < 0 || b.d < 0 || w.released.size() >= 3) return;
    const bool same = a.d == b.d && a.i == b.i && a.released == b.released;
    if (!same && !(no(Without::kDigest) && a.i == b.i)) return;
    World next = w;
    const std::pair<int, int> run{b.d, b.i};
    bool shown = true, consent = true, stale = false;
    for (const Honest& m : w.member) {
      shown = shown && m.shown == run.first;
      consent = consent && m.decision == 1 && m.once == 0;
      stale = stale || !m.signatures.contains({run.first, w.terms, w.version});
    }
    const auto times = std::count(w.released.begin(), w.released.end(), run) + 1;
    next.violation = !shown                           ? "unapproved bytes"
                     : !consent                       ? "withdrawn"
                     : stale                          ? "other terms or version"
                     : a.late || b.late               ? "expired"
                     : times > 1                      ? "twice"
                     : w.released.size() + 1 > times_ ? "more than k"
                                                      : "";
    for (Honest& m : next.member) m.session = {};
    next.released.push_back(run);
    put(next);
  }
  void moves(const World& w, const Put& put) const {
    for (int h : {0, 1}) decisions(w, h, put);
    surroundings(w, put);
    for (int h : {0, 1}) {
      if (w.member[h].session.d >= 0) continue;
      for (int d : {0, 1}) {
        for (int i : {1, 2}) {
          if (!starts(w, h, d, i)) continue;
          World next = w;
          next.member[h].marks.insert({d, i});
          next.member[h].session = {d, i, w.released.size(), w.late};
          put(next);
        }
      }
    }
    release(w, put);
  }

  const uint32_t times_;
  const Without without_;
  std::set<std::string> found_;
};

// M26, M27, M29, M30, M32, M33: nothing runs that not every honest member approves now, as shown,
// in time, at most k times.
TEST(ProposalModel, EveryStateIsRight) {
  for (const uint32_t times : {1U, 2U}) {
    Explorer explorer(times, Without::kNothing);
    EXPECT_GT(explorer.run(), times == 1 ? 5'000U : 15'000U);
    EXPECT_TRUE(explorer.found().empty()) << *explorer.found().begin();
  }
}

TEST(ProposalModel, EachConditionIsForOneThing) {
  using Found = std::set<std::string>;
  const std::pair<Without, Found> cases[] = {{Without::kDigest, {"unapproved bytes"}},
                                             {Without::kTerms, {"other terms or version"}},
                                             {Without::kVersions, {"other terms or version"}},
                                             {Without::kOwnDecision, {"withdrawn"}},
                                             {Without::kWithdrawnInOnce, {"withdrawn"}},
                                             {Without::kWindow, {"expired"}},
                                             {Without::kFloor, {"expired"}},
                                             {Without::kArmed, {"twice"}},
                                             {Without::kCount, {"more than k"}},
                                             {Without::kStopOnWithdrawal, {"withdrawn"}},
                                             {Without::kAlone, {"other terms or version"}}};
  for (const auto& [without, want] : cases) {
    Explorer explorer(1, without);
    (void)explorer.run();
    EXPECT_EQ(explorer.found(), want) << static_cast<int>(without);
  }
}

// Each condition of 6.2 is one bit, set by what it is about and by nothing else.
TEST(Judge, EachConditionIsOneBit) {
  GivenApproval given;
  given.body.proposal = digest_of(1);
  given.body.terms = digest_of(2);
  given.body.versions = digest_of(3);
  given.body.not_before = 10;
  given.body.not_after = 20;
  given.body.rule_version = 4;
  given.incarnation = 1;
  given.number = 7;
  Asked asked;
  asked.complete = digest_of(1);
  asked.terms = digest_of(2);
  asked.versions = digest_of(3);
  asked.now = 10;
  asked.key = net::SigningKey{};
  asked.incarnation = 1;
  asked.newest = 7;
  asked.rule_version = 4;
  EXPECT_TRUE(fails(given, asked).none());
  EXPECT_EQ(first_of(fails(std::nullopt, asked)), Counts::kNone);
  const auto only = [&](Counts why, const std::function<void(Asked&)>& change) {
    Asked other = asked;
    change(other);
    EXPECT_EQ(fails(given, other), Failures().set(static_cast<size_t>(why)))
        << static_cast<int>(why);
  };
  only(Counts::kKey, [](Asked& a) { a.key->at(0) = 1; });
  only(Counts::kKey, [](Asked& a) { a.key.reset(); });
  only(Counts::kDigest, [](Asked& a) { a.complete = digest_of(9); });
  only(Counts::kTerms, [](Asked& a) { a.terms = digest_of(9); });
  only(Counts::kVersions, [](Asked& a) { a.versions = digest_of(9); });
  only(Counts::kWithdrawn, [](Asked& a) { a.newest = 8; });
  only(Counts::kWithdrawn, [](Asked& a) { a.refused = true; });
  only(Counts::kIncarnation, [](Asked& a) { a.incarnation = 2; });
  only(Counts::kRule, [](Asked& a) { a.rule_version = 5; });
  only(Counts::kEarly, [](Asked& a) { a.now = 9; });
  only(Counts::kLate, [](Asked& a) { a.now = 21; });
  only(Counts::kFork, [](Asked& a) { a.forked = true; });
}

TEST(Judge, EachStopIsOneBit) {
  OwnMarks marks;
  marks.consent = marks.allowed = true;
  marks.times = 2;
  marks.used = 1;
  marks.now = marks.floor = 5;
  EXPECT_TRUE(stops(marks).none());
  const auto only = [&](Stop why, const std::function<void(OwnMarks&)>& change) {
    OwnMarks other = marks;
    change(other);
    EXPECT_EQ(stops(other), Stops().set(static_cast<size_t>(why))) << to_string(why);
  };
  only(Stop::kClosed, [](OwnMarks& m) { m.closed = true; });
  only(Stop::kConsent, [](OwnMarks& m) { m.consent = false; });
  only(Stop::kArmed, [](OwnMarks& m) { m.armed = true; });
  only(Stop::kCount, [](OwnMarks& m) { m.used = 2; });
  only(Stop::kIndex, [](OwnMarks& m) { m.allowed = false; });
  only(Stop::kFloor, [](OwnMarks& m) { m.now = 4; });
  only(Stop::kWindow, [](OwnMarks& m) { m.late = true; });
}

// M31: time in half slots; the agreed time may be off by one, the clock and state.db go back.
struct Schedule {
  int time = 0;
  std::set<uint32_t> marks;
  int floor = 0;
  std::vector<uint32_t> runs;
  auto operator<=>(const Schedule&) const = default;
};

enum class Lacks { kNothing, kOnce, kFloor, kArmed, kCount };

bool schedule_goes_wrong(Lacks lacks) {
  constexpr int kSlots = 3;
  constexpr uint64_t kMonday = 1'767'571'200;
  const Repetition every{2, WeeklyHours::parse("Mon 00:00-24:00", "x")};
  const auto real = [&](int tick) {
    return kMonday + static_cast<uint64_t>(tick / 2) * 7 * 86400 +
           static_cast<uint64_t>(tick % 2) * 43200;
  };
  std::set<Schedule> seen = {Schedule{}};
  std::deque<Schedule> todo = {Schedule{}};
  const auto put = [&](const Schedule& s) {
    if (seen.insert(s).second) todo.push_back(s);
  };
  while (!todo.empty()) {
    const Schedule s = todo.front();
    todo.pop_front();
    const std::set<uint32_t> different(s.runs.begin(), s.runs.end());
    if (different.size() != s.runs.size() || s.runs.size() > every.times) return true;
    Schedule next = s;
    if (s.time < 2 * kSlots - 1) put((next.time = s.time + 1, next));
    if (s.time > 0) put((next.time = s.time - 1, next));
    next = s;
    next.marks.clear();
    if (lacks == Lacks::kOnce && !s.runs.empty()) put(next);
    for (int now = std::max(s.time - 1, 0); now <= s.time + 1 && now < 2 * kSlots; ++now) {
      const auto slot = every.slot_at(real(now), kMonday);
      if (!slot || s.runs.size() == 4) continue;
      OwnMarks marks;
      marks.consent = marks.allowed = true;
      marks.armed = s.marks.contains(*slot);
      marks.used = static_cast<uint32_t>(s.marks.size());
      marks.times = every.times;
      marks.now = static_cast<uint64_t>(now);
      marks.floor = static_cast<uint64_t>(s.floor);
      Stops why = stops(marks);
      if (lacks == Lacks::kFloor) why.reset(static_cast<size_t>(Stop::kFloor));
      if (lacks == Lacks::kArmed) why.reset(static_cast<size_t>(Stop::kArmed));
      if (lacks == Lacks::kCount) why.reset(static_cast<size_t>(Stop::kCount));
      if (why.any()) continue;
      next = s;
      next.marks.insert(*slot);
      next.floor = std::max(s.floor, now);
      next.runs.push_back(*slot);
      put(next);
    }
  }
  return false;
}

TEST(ScheduleModel, OneRunASlotAndAtMostTimes) {
  EXPECT_FALSE(schedule_goes_wrong(Lacks::kNothing));
  EXPECT_TRUE(schedule_goes_wrong(Lacks::kOnce));
  EXPECT_TRUE(schedule_goes_wrong(Lacks::kArmed));
  EXPECT_TRUE(schedule_goes_wrong(Lacks::kCount));
  // Without the floor marks alone keep slots apart: it is for windows (ProposalModel).
  EXPECT_FALSE(schedule_goes_wrong(Lacks::kFloor));
}

StartSaying listing(std::vector<StartSaying::Run> ready, std::vector<Digest> unresolved = {}) {
  StartSaying s;
  s.ready = std::move(ready);
  s.unresolved = std::move(unresolved);
  return s;
}

// M34: a run that always fails before it is armed does not keep the others waiting.
TEST(ChooseRun, FewestTriesThenTheSmallestId) {
  const Digest a = digest_of(0), b = digest_of(1), c = digest_of(2);
  const auto never = [](const Digest&, const Digest&) { return false; };
  uint32_t tries = 0;
  std::vector<Digest> chosen;
  for (int round = 0; round < 3; ++round) {
    const auto run =
        choose_run({listing({{a, tries}, {b, 0}}), listing({{a, tries}, {b, 1}})}, never);
    ASSERT_TRUE(run);
    chosen.push_back(*run);
    if (*run == a) ++tries;
  }
  EXPECT_EQ(chosen, (std::vector<Digest>{a, a, b}));
  EXPECT_EQ(choose_run({listing({{a, 0}, {c, 0}}), listing({{b, 0}, {c, 0}})}, never), c);
  EXPECT_FALSE(choose_run({listing({{a, 0}}), listing({{b, 0}})}, never));
  EXPECT_FALSE(choose_run({}, never));
}

// Two runs over one secret: never both, whatever member crashed in between; and no deadlock.
TEST(ChooseRun, NothingThatConflictsWithAnUnresolvedRunOfAnybody) {
  const Digest a = digest_of(0), b = digest_of(1), c = digest_of(2);
  const auto a_and_b = [&](const Digest& x, const Digest& y) {
    return std::minmax(x, y) == std::minmax(a, b);
  };
  EXPECT_EQ(choose_run({listing({{b, 0}, {c, 0}}, {a}), listing({{b, 0}, {c, 0}})}, a_and_b), c);
  EXPECT_FALSE(choose_run({listing({{b, 0}}), listing({{b, 0}}, {a})}, a_and_b));
  EXPECT_EQ(choose_run({listing({{b, 0}}), listing({{b, 0}})}, a_and_b), b);
}

}  // namespace
}  // namespace flexroom::inbox
