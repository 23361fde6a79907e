#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/codec.h"
#include "inbox/inbox.h"
#include "support/parties.h"
#include "unit/store/store_fixture.h"

namespace flexroom::inbox {

using agreement::Configuration;
using agreement::Proposal;
using agreement::Statement;
using agreement::StatementKind;
using ::testing::HasSubstr;

inline constexpr uint64_t kHour = 3600, kDayLong = 86400;
inline constexpr uint64_t kMonday = 1'767'571'200;  // 2026-01-05T00:00:00Z, a Monday

/// Members of one room with their files, and the inboxes over them.
class InboxTest : public store::StoreTest {
 protected:
  explicit InboxTest(size_t members = 3) {
    for (size_t i = 0; i < members; ++i) {
      identities_.push_back(net::Identity::make("m" + std::to_string(i)));
    }
    room_[0] = 7;
    conf_.room = room_;
    conf_.name = "rig";
    conf_.profile = "default";
    for (PartyId i = 0; i < members; ++i) {
      conf_.members.push_back(
          {mid(i), name(i), identities_[i].signing_key(), identities_[i].fingerprint(), ""});
    }
    configurations_ = {conf_};
    members_.resize(members);
    for (PartyId i = 0; i < members; ++i) reopen(i);
  }

  static MemberId mid(PartyId id) { return {static_cast<uint8_t>(id + 1)}; }

  struct Member {
    std::unique_ptr<store::SealedDb> db;
    std::unique_ptr<store::OnceDb> once;
    std::unique_ptr<Inbox> inbox;
  };

  void reopen(PartyId i, std::function<void(std::string_view)> fault = nullptr) {
    Member& m = members_[i];
    m.inbox.reset();
    m.once.reset();
    m.db.reset();
    m.db = open(name(i));
    m.once = open_once(name(i));
    Inbox::Settings settings;
    settings.room = room_;
    settings.self = mid(i);
    settings.configurations = configurations_;
    settings.secret = [this](const std::array<uint8_t, 16>&) { return secret_; };
    settings.check = [this](const Proposal&, const Terms& terms,
                            const std::vector<agreement::GivenInput>&) {
      if (terms.arguments.contains("bad") ||
          (refuses_worse_ && terms.arguments.contains("worse"))) {
        throw InputError("proposal", "is filled in otherwise");
      }
    };
    settings.quotas = quotas_;
    settings.fault = std::move(fault);
    m.inbox = std::make_unique<Inbox>(*m.db, *m.once, identities_[i], std::move(settings));
  }
  Inbox& at(PartyId i) { return *members_[i].inbox; }

  Terms terms(PartyId proposer = 0) const {
    Terms t;
    t.proposer = mid(proposer);
    t.definition[0] = 9;
    t.arguments = {{"region", "eu-1"}};
    t.window = {kMonday, kMonday + 30 * kDayLong};
    return t;
  }
  Proposal proposal(const Terms& terms, const std::string& title = "job") const {
    Proposal p;
    p.kind = "call";
    p.title = title;
    p.room = room_;
    p.terms = configurations_.back().terms();
    terms.add_to(p);
    p.section("what runs").text("action", "Describe");
    return p;
  }

  /// What `to` takes from `from`, as often as there is something.
  TakeReport pull(PartyId to, PartyId from, uint64_t now) {
    TakeReport all;
    for (int i = 0; i < 64; ++i) {
      const Bytes wants = at(to).missing(at(from).heads(), mid(from), now);
      if (wants.empty()) break;
      const TakeReport one = at(to).take(at(from).give(wants, mid(to)), mid(from), now);
      all.taken += one.taken;
      all.forks.insert(all.forks.end(), one.forks.begin(), one.forks.end());
      all.stopped = one.stopped;
      all.own_log_is_whole_again |= one.own_log_is_whole_again;
      all.touched.insert(all.touched.end(), one.touched.begin(), one.touched.end());
      if (one.taken == 0 && one.forks.empty() && one.stopped.empty()) break;
      if (!one.stopped.empty() && one.taken == 0 && one.forks.empty() && i > 3) break;
    }
    return all;
  }
  void sync(uint64_t now) {
    for (int round = 0; round < 2; ++round) {
      for (PartyId to = 0; to < members_.size(); ++to) {
        for (PartyId from = 0; from < members_.size(); ++from) {
          if (to != from) pull(to, from, now);
        }
      }
    }
  }
  Digest complete_of(PartyId i, const Digest& id) { return *at(i).show(id, now_)->complete; }
  /// Proposed by member 0 and approved by all; D.
  Digest approved(const Terms& t, const std::string& title = "job") {
    const Digest id = at(0).propose(proposal(t, title), now_);
    sync(now_);
    const Digest complete = complete_of(0, id);
    for (PartyId i = 0; i < members_.size(); ++i) at(i).approve(complete, {}, now_);
    sync(now_);
    return complete;
  }
  State state(PartyId i, const Digest& id, std::optional<uint64_t> now = std::nullopt) {
    return at(i).show(id, now.value_or(now_))->state;
  }

  // Files of a member: copies of earlier times.
  void keep(PartyId i, const std::string& as) { copy_state(i, root_ / as, true); }
  void put_back(PartyId i, const std::string& from) { copy_state(i, root_ / from, false); }

  /// A statement that the inbox would not sign: of a member that is corrupted.
  Statement forged(PartyId author, StatementKind kind, Bytes body, uint64_t number,
                   const Digest& previous, uint32_t incarnation = 0, uint64_t time = kMonday) {
    Statement s;
    s.room = room_;
    s.author = mid(author);
    s.incarnation = incarnation;
    s.number = number;
    s.previous = previous;
    s.time = time;
    s.kind = kind;
    s.body = std::move(body);
    s.sign(identities_[author]);
    return s;
  }
  static Bytes bundle(const std::vector<Bytes>& statements) {
    Writer out;
    out.u8(1).u32(static_cast<uint32_t>(statements.size()));
    for (const Bytes& s : statements) out.field(s);
    return out.take();
  }

  std::vector<net::Identity> identities_;
  Digest room_{};
  Configuration conf_;
  std::vector<Configuration> configurations_;
  std::vector<Member> members_;
  std::optional<SecretNow> secret_;
  bool refuses_worse_ = false;  // of check()
  Quotas quotas_;
  uint64_t now_ = kMonday + kHour;

 private:
  void copy_state(PartyId i, const std::filesystem::path& copy, bool out) {
    Member& m = members_[i];
    m.inbox.reset();
    m.once.reset();
    m.db.reset();
    const std::filesystem::path file = root_ / name(i) / "state.db";
    for (const char* suffix : {"", "-wal", "-shm"}) {
      const std::filesystem::path here = file.string() + suffix, there = copy.string() + suffix;
      const auto& from = out ? here : there;
      const auto& to = out ? there : here;
      std::filesystem::remove(to);
      if (std::filesystem::exists(from)) std::filesystem::copy_file(from, to);
    }
    reopen(i);
  }
};

}  // namespace flexroom::inbox
