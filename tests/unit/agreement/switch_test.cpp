#include "agreement/switch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

namespace flexroom::agreement {
namespace switch_test {

// The switch explored from all sides, as the model of members.md §4.2 does (its properties, its
// shapes): every honest member moves by moves() alone, malicious ones have signed everything from
// the start, whoever does not act on a statement has not received it. A member is a letter; one
// attempt or two from the same configuration.

MemberId mid(char letter) { return {static_cast<uint8_t>(letter)}; }

ChangeSets sets_of(const std::string& before, const std::string& next) {
  ChangeSets out;
  for (const char c : before) {
    (next.find(c) != std::string::npos ? out.stay : out.leave).push_back(mid(c));
    out.all.push_back({mid(c), std::string(1, c), {}, {}, ""});
  }
  for (const char c : next) {
    if (before.find(c) != std::string::npos) continue;
    out.join.push_back(mid(c));
    out.all.push_back({mid(c), std::string(1, c), {}, {}, ""});
  }
  return out;
}

/// Of one honest member in one attempt: its register, and what is lost when it is killed.
struct At {
  Standing standing;
  bool in_session = false;
  bool out_for_good = false;  // was killed in the session: never ready for it
};

struct World {
  std::string before;
  std::vector<std::string> nexts;
  std::string bad;     // malicious members
  std::string silent;  // of them: sign nothing
  bool waived = false;
  std::map<std::pair<char, int>, StatementKind> only =
      {};  // BIND or VOID a malicious key: not both
};

class Explorer {
 public:
  explicit Explorer(World world) : w_(std::move(world)) {
    for (size_t t = 0; t < w_.nexts.size(); ++t) {
      sets_.push_back(sets_of(w_.before, w_.nexts[t]));
      for (const auto& member : sets_.back().all) {
        const char c = static_cast<char>(member.id[0]);
        if (w_.bad.find(c) == std::string::npos) slots_.push_back({c, t});
      }
    }
    explore();
  }

  struct State {
    std::string at;     // three letters a slot
    uint8_t stale = 0;  // bit t: S ran after rows of t were made
    std::string ran;    // 'S', or digit t; sorted
    std::string key() const { return at + static_cast<char>('0' + stale) + ran; }
  };

  size_t states() const { return seen_.size(); }

  /// Two rooms live at once, S or another T after a T, a T with rows from before a run of S.
  bool both() const {
    return any([&](const State& s) {
      std::vector<size_t> live;
      for (size_t t = 0; t < sets_.size(); ++t) {
        if (live_new(s, t)) live.push_back(t);
      }
      if (live.size() > 1) return true;
      if (!live.empty() && (live_old(s) || (s.stale >> live[0] & 1) != 0)) return true;
      return s.ran.size() > 1 || (!s.ran.empty() && live_old(s));
    });
  }
  /// Somebody erased its old rows, somebody else the staged ones of the same attempt.
  bool lost() const {
    return any([&](const State& s) {
      for (size_t t = 0; t < sets_.size(); ++t) {
        bool gone = false, dropped = false;
        for (size_t i = 0; i < slots_.size(); ++i) {
          if (slots_[i].second != t) continue;
          const At at = read(s, i);
          gone = gone || (at.standing.part != Part::kJoins &&
                          (at.standing.place == Place::kNew || at.standing.place == Place::kLeft));
          dropped = dropped || (at.standing.said_ready && !at.standing.staged);
        }
        if (gone && dropped) return true;
      }
      return false;
    });
  }
  /// Members of T ended differently.
  bool split() const {
    return any([&](const State& s) {
      for (size_t t = 0; t < sets_.size(); ++t) {
        bool moved = false, back = false;
        for (size_t i = 0; i < slots_.size(); ++i) {
          if (slots_[i].second != t) continue;
          const At at = read(s, i);
          if (at.standing.part == Part::kLeaves) continue;
          moved = moved || at.standing.place == Place::kNew;
          back = back || at.standing.place == Place::kOld;
        }
        if (moved && back) return true;
      }
      return false;
    });
  }
  bool live_old(const State& s) const {
    for (size_t i = 0; i < slots_.size(); ++i) {
      const At at = read(s, i);
      if (at.standing.part == Part::kJoins) continue;
      if (at.in_session || !runs_old(at.standing)) return false;
    }
    return true;
  }
  bool live_new(const State& s, size_t t) const {
    for (const char c : w_.nexts[t]) {
      if (w_.bad.find(c) != std::string::npos) continue;
      for (size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].first == c && slots_[i].second == t && !runs_new(read(s, i).standing)) {
          return false;
        }
      }
    }
    return true;
  }
  bool some_room_works(const State& s) const {
    if (live_old(s)) return true;
    for (size_t t = 0; t < sets_.size(); ++t) {
      if (live_new(s, t)) return true;
    }
    return false;
  }
  /// States from which no state with `goal` can be reached.
  template <typename Goal>
  bool stuck(const Goal& goal) {
    std::unordered_map<std::string, std::vector<std::string>> back;
    std::set<std::string> good;
    std::deque<std::string> todo;
    for (const auto& [key, state] : seen_) {
      if (goal(state)) {
        good.insert(key);
        todo.push_back(key);
      }
      for (const State& next : successors(state)) back[next.key()].push_back(key);
    }
    while (!todo.empty()) {
      const std::string now = todo.front();
      todo.pop_front();
      for (const std::string& from : back[now]) {
        if (good.insert(from).second) todo.push_back(from);
      }
    }
    return good.size() != seen_.size();
  }

 private:
  template <typename F>
  bool any(const F& f) const {
    for (const auto& [key, state] : seen_) {
      if (f(state)) return true;
    }
    return false;
  }
  At read(const State& s, size_t i) const {
    At at;
    at.standing.part = part_of(sets_[slots_[i].second], mid(slots_[i].first));
    at.standing.place = static_cast<Place>(s.at[2 * i] - '0');
    const int bits = s.at[2 * i + 1] - '0';
    at.standing.said_ready = (bits & 1) != 0;
    at.standing.said_bind = (bits & 2) != 0;
    at.standing.staged = (bits & 4) != 0;
    at.in_session = (bits & 8) != 0;
    at.out_for_good = (bits & 16) != 0;
    return at;
  }
  State write(State s, size_t i, const At& at) const {
    s.at[2 * i] = static_cast<char>('0' + static_cast<int>(at.standing.place));
    s.at[2 * i + 1] = static_cast<char>(
        '0' + (at.standing.said_ready ? 1 : 0) + (at.standing.said_bind ? 2 : 0) +
        (at.standing.staged ? 4 : 0) + (at.in_session ? 8 : 0) + (at.out_for_good ? 16 : 0));
    return s;
  }
  Heard heard(const State& s, size_t t) const {
    Heard out;
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].second != t) continue;
      for (const StatementKind kind : says(read(s, i).standing))
        out.add(mid(slots_[i].first), kind);
    }
    for (const auto& member : sets_[t].all) {
      const char c = static_cast<char>(member.id[0]);
      if (w_.bad.find(c) == std::string::npos || w_.silent.find(c) != std::string::npos) continue;
      for (const StatementKind kind :
           {StatementKind::kReady, StatementKind::kBind, StatementKind::kLeft, StatementKind::kVoid,
            StatementKind::kOld}) {
        const auto choice = w_.only.find({c, static_cast<int>(t)});
        const bool bind_or_void = kind == StatementKind::kBind || kind == StatementKind::kVoid;
        if (bind_or_void && choice != w_.only.end() && choice->second != kind) continue;
        out.add(member.id, kind);
      }
    }
    return out;
  }
  std::vector<State> successors(const State& s) const {
    std::vector<State> out;
    std::vector<Heard> known;
    for (size_t t = 0; t < sets_.size(); ++t) known.push_back(heard(s, t));
    for (size_t i = 0; i < slots_.size(); ++i) {
      const auto [c, t] = slots_[i];
      const At at = read(s, i);
      for (const Move move :
           moves(sets_[t], mid(c), at.standing, known[t], at.in_session, w_.waived)) {
        At next = at;
        next.standing = after(at.standing, move);
        if (move == Move::kGoBack || move == Move::kBecomeReady) next.in_session = false;
        if (move == Move::kGoBack) next.out_for_good = true;
        out.push_back(write(s, i, next));
      }
      // Killed before its rows were durable: never in this session again.
      if (at.in_session && at.standing.part == Part::kJoins) {
        At next = at;
        next.in_session = false;
        next.out_for_good = true;
        out.push_back(write(s, i, next));
      }
    }
    for (size_t t = 0; t < sets_.size(); ++t) {
      // One session of all of U, which every honest member is free for (M23).
      bool can = true;
      for (size_t i = 0; i < slots_.size() && can; ++i) {
        const At at = read(s, i);
        if (slots_[i].second == t) {
          can = at.standing == Standing{at.standing.part} && !at.in_session && !at.out_for_good;
          continue;
        }
        const auto member = mid(slots_[i].first);
        if (!sets_[t].index_of(member)) continue;
        can = is_free(at.standing) && !at.in_session;
      }
      if (!can) continue;
      State next = s;
      for (size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].second != t) continue;
        At at = read(s, i);
        at.in_session = true;
        if (at.standing.part == Part::kLeaves) {
          // Its register says frozen before its row goes into the session.
          const auto offered =
              moves(sets_[t], mid(slots_[i].first), at.standing, known[t], true, w_.waived);
          EXPECT_TRUE(std::find(offered.begin(), offered.end(), Move::kFreeze) != offered.end());
          at.standing = after(at.standing, Move::kFreeze);
          at.in_session = false;
        }
        next = write(next, i, at);
      }
      out.push_back(next);
    }
    if (live_old(s)) {
      State next = s;
      for (size_t i = 0; i < slots_.size(); ++i) {
        const At at = read(s, i);
        const bool copied = at.in_session || at.standing.place == Place::kReady ||
                            at.standing.place == Place::kBound ||
                            at.standing.place == Place::kNew || at.standing.place == Place::kFrozen;
        if (copied) next.stale |= static_cast<uint8_t>(1u << slots_[i].second);
      }
      if (!next.ran.empty() && next.ran.find('S') == std::string::npos) next.ran += 'S';
      out.push_back(next);
    }
    for (size_t t = 0; t < sets_.size(); ++t) {
      const char name = static_cast<char>('0' + static_cast<int>(t));
      if (!live_new(s, t) || s.ran.find(name) != std::string::npos) continue;
      State next = s;
      next.ran += name;
      out.push_back(next);
    }
    return out;
  }
  void explore() {
    State first;
    for (size_t i = 0; i < slots_.size(); ++i) {
      first.at += "00";
      first = write(first, i, {Standing{part_of(sets_[slots_[i].second], mid(slots_[i].first))}});
    }
    seen_[first.key()] = first;
    std::deque<State> todo = {first};
    while (!todo.empty()) {
      const State now = todo.front();
      todo.pop_front();
      for (const State& next : successors(now)) {
        if (seen_.emplace(next.key(), next).second) todo.push_back(next);
      }
    }
  }

  World w_;
  std::vector<ChangeSets> sets_;
  std::vector<std::pair<char, size_t>> slots_;
  std::unordered_map<std::string, State> seen_;
};

struct Shape {
  std::string before;
  std::vector<std::string> nexts;
};
const std::vector<Shape> kOneAttempt = {{"ab", {"abj"}}, {"abl", {"ab"}},  {"abl", {"abj"}},
                                        {"al", {"aj"}},  {"abc", {"abc"}}, {"ab", {"ab"}}};
const std::vector<Shape> kTwoAttempts = {
    {"ab", {"abj", "abj"}}, {"al", {"aj", "ak"}}, {"al", {"aj", "al"}}, {"ab", {"abj", "abk"}}};
const std::vector<Shape> kLong = {
    {"abc", {"abcj"}},     {"abcl", {"abcj"}},      {"abl", {"abjk"}},
    {"ablm", {"ab"}},      {"abl", {"ab", "abj"}},  {"abl", {"abj", "abk"}},
    {"abl", {"ab", "al"}}, {"abc", {"abc", "abc"}}, {"abl", {"abj", "alj"}}};

std::string without(const std::string& from, const std::string& what) {
  std::string out;
  for (const char c : from) {
    if (what.find(c) == std::string::npos) out += c;
  }
  return out;
}
std::string common(const std::string& a, const std::string& b) {
  std::string out;
  for (const char c : a) {
    if (b.find(c) != std::string::npos) out += c;
  }
  return out;
}

/// Every coalition for which members.md §1.3 claims "exactly one room".
void explore_coalitions(const Shape& shape) {
  std::string all = shape.before;
  for (const std::string& next : shape.nexts) all += without(next, all);
  for (uint32_t mask = 0; mask + 1 < (1u << all.size()); ++mask) {
    std::string bad;
    for (size_t i = 0; i < all.size(); ++i) {
      if ((mask >> i & 1) != 0) bad += all[i];
    }
    if (without(shape.before, bad).empty()) continue;
    bool honest_stays = true, claimed = true;
    for (const std::string& next : shape.nexts) {
      const bool stays = !without(common(shape.before, next), bad).empty();
      honest_stays = honest_stays && stays;
      claimed = claimed && (stays || (!without(without(shape.before, next), bad).empty() &&
                                      !without(without(next, shape.before), bad).empty()));
    }
    if (!claimed) continue;
    for (const bool waived : {false, true}) {
      if (waived && !honest_stays) continue;
      Explorer x({shape.before, shape.nexts, bad, "", waived});
      EXPECT_FALSE(x.both()) << shape.before << " bad " << bad << " waived " << waived;
      EXPECT_FALSE(x.lost()) << shape.before << " bad " << bad << " waived " << waived;
    }
    if (!honest_stays) continue;
    std::vector<std::pair<char, int>> keys;
    for (size_t t = 0; t < shape.nexts.size(); ++t) {
      for (const char c : common(common(shape.before, shape.nexts[t]), bad)) {
        keys.push_back({c, static_cast<int>(t)});
      }
    }
    for (uint32_t pick = 0; pick < (1u << keys.size()); ++pick) {
      World world{shape.before, shape.nexts, bad, "", true};
      for (size_t k = 0; k < keys.size(); ++k) {
        world.only[keys[k]] = (pick >> k & 1) != 0 ? StatementKind::kVoid : StatementKind::kBind;
      }
      EXPECT_FALSE(Explorer(world).split()) << shape.before << " bad " << bad;
    }
  }
}

void explore_liveness(const Shape& shape) {
  Explorer x({shape.before, shape.nexts, "", ""});
  EXPECT_FALSE(x.stuck([&](const auto& s) { return x.some_room_works(s); })) << shape.before;
  for (const std::string& next : shape.nexts) {
    for (const char j : without(next, shape.before)) {
      const std::string one(1, j);
      Explorer silent({shape.before, {next}, one, one});
      EXPECT_FALSE(silent.stuck([&](const auto& s) { return silent.live_old(s); }))
          << "joiner " << j << " never says READY";
    }
    for (const char l : without(shape.before, next)) {
      const std::string one(1, l);
      Explorer silent({shape.before, {next}, one, one, true});
      EXPECT_FALSE(silent.stuck([&](const auto& s) { return silent.some_room_works(s); }))
          << "leaver " << l << " signs nothing";
    }
  }
}

// M16, M18, M19, M20, M23; members.md §4.2, with the coalitions of 1.3.
TEST(SwitchTest, NeverTwoRoomsNothingLostOfOneAttempt) {
  for (const Shape& shape : kOneAttempt) explore_coalitions(shape);
}
TEST(SwitchTest, NeverTwoRoomsNothingLostOfTwoAttempts) {
  for (const Shape& shape : kTwoAttempts) explore_coalitions(shape);
}
TEST(SwitchTest, FromEveryStateARoomWorksAgain) {
  for (const Shape& shape : kOneAttempt) explore_liveness(shape);
  explore_liveness(kTwoAttempts[0]);
}
TEST(SwitchTest, LargerShapesSweep) {
  if (std::getenv("FLEXROOM_LONG") == nullptr) GTEST_SKIP() << "FLEXROOM_LONG is not set";
  for (const Shape& shape : kLong) {
    explore_coalitions(shape);
    explore_liveness(shape);
  }
}

// M17: what remains (members.md §4.2): BIND to one and VOID to another stops both rooms, is proved
// by its two statements, and loses no row.
TEST(SwitchTest, BindAndVoidOfOneKeySplitsIsProvedAndLosesNothing) {
  Explorer x({"abc", {"abc"}, "c", ""});
  EXPECT_TRUE(x.split());
  EXPECT_FALSE(x.both());
  EXPECT_FALSE(x.lost());
  Heard heard;
  heard.add(mid('c'), StatementKind::kBind);
  heard.add(mid('a'), StatementKind::kVoid);
  EXPECT_TRUE(heard.two_tongued().empty());
  heard.add(mid('c'), StatementKind::kVoid);
  EXPECT_EQ(heard.two_tongued(), std::vector<MemberId>{mid('c')});
}

// M18 (members.md §4.5): with LEFT waived and every stayer malicious there are two rooms, which is
// why people are asked.
TEST(SwitchTest, WaivingLeftNeedsAnHonestStayer) {
  EXPECT_TRUE(Explorer({"al", {"aj"}, "a", "", true}).both());
  EXPECT_FALSE(Explorer({"al", {"aj"}, "a", "", false}).both());
}

// What a member says follows from where it stands; who never bound says so once (M17).
TEST(SwitchTest, StatementsOfAPlace) {
  using K = StatementKind;
  Standing s{Part::kStays};
  EXPECT_TRUE(says(s).empty());
  s = after(s, Move::kBecomeReady);
  EXPECT_EQ(says(s), (std::vector<K>{K::kReady}));
  EXPECT_EQ(says(after(s, Move::kGoBack)), (std::vector<K>{K::kReady, K::kVoid, K::kOld}));
  s = after(s, Move::kBind);
  EXPECT_EQ(says(s), (std::vector<K>{K::kReady, K::kBind}));
  EXPECT_EQ(says(after(s, Move::kGoBack)), (std::vector<K>{K::kReady, K::kBind, K::kOld}));
  EXPECT_EQ(says(after(s, Move::kBecomeNew)), (std::vector<K>{K::kReady, K::kBind}));
  Standing l{Part::kLeaves, Place::kFrozen};
  EXPECT_TRUE(says(l).empty());
  EXPECT_EQ(says(after(l, Move::kLeave)), (std::vector<K>{K::kLeft}));
}

}  // namespace switch_test
}  // namespace flexroom::agreement
