#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>

#include "prep/open.h"
#include "session/secret_import.h"
#include "session/secret_refresh.h"
#include "session/signing_keys.h"
#include "support/tcp_members.h"

namespace flexroom::session {

namespace fs = std::filesystem;

constexpr int kOk = 0, kInput = 1, kFailedExpectation = 2, kAbort = 50;  // + AbortCode
constexpr uint32_t kDirtyMax = 16;
constexpr PartyId kEverybody = 1000;

/// Flips a bit of the index-th message with that label, to everybody.
inline net::Tamper flip_bit_of(std::string label, size_t index) {
  return [label, index](const net::MessageId& m, Bytes& payload) {
    if (m.label == label && m.index == index) payload[1] ^= 1;
  };
}

inline Bytes read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return Bytes((std::istreambuf_iterator<char>(in)), {});
}

inline int abort_status(AbortCode code) { return kAbort + static_cast<int>(code); }

/// Members with state directories of their own; in every contact each is a process, as for a user.
class SecretRefreshTest : public ::testing::Test {
 protected:
  SecretRefreshTest() {
    char name[] = "/tmp/flexroom-refresh-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~SecretRefreshTest() override { fs::remove_all(root_); }

  using Body = std::function<void(MemberSession&)>;
  struct Options {
    PartyId victim = 0;  // is killed at `step`
    std::string step;
    std::function<void(PartyId, net::Party&)> prepare;  // a corrupted member
  };

  /// A room of n: its epoch, two versions of one secret, a cached signing key.
  void make_room(size_t n) {
    n_ = n;
    fs::remove_all(root_ / "live");
    fs::create_directory(root_ / "live");
    room_ = RoomConfig();
    room_.name = "test";
    members_.clear();
    for (size_t i = 0; i < n; ++i) {
      const std::string name = "m" + std::to_string(i);
      const fs::path dir = root_ / name;
      fs::remove_all(dir);
      fs::create_directories(dir);
      fs::permissions(dir, fs::perms::owner_all);
      const net::Identity identity = net::Identity::make(name);
      identity.save(dir / "identity");
      (void)store::SealKey::create(dir / "state.key");
      const auto [fd, port] = support::listen_on_loopback();
      ::close(fd);
      room_.members.push_back({name, {"127.0.0.1", port}, to_hex(identity.fingerprint())});
      MemberConfig member;
      member.name = name;
      member.state_dir = root_ / "live" / name;
      member.identity_dir = dir / "identity";
      member.state_key_file = dir / "state.key";
      member.once_key_file = root_ / "live" / (name + ".once");
      members_.push_back(member);
    }
    room_.courier = "m1";
    expect_all(kOk, contact([](MemberSession& session) {
                 session.ensure_epoch(false);
                 session.start();
                 for (const uint8_t version : {uint8_t{1}, uint8_t{2}}) import(session, version);
                 keep_signing_key(session);
               }));
    keep();
  }
  /// The same with the secrets as they lay before there were rows.
  void make_room_of_before(size_t n) {
    make_room(n);
    expect_all(kOk, contact([](MemberSession& session) {
                 session.start();
                 MemberState& state = session.state();
                 for (store::RecordMeta meta : state.secrets().list()) {
                   const prep::AuthBits bits = session.shares(meta);
                   state.secrets().remove(meta.id, meta.version);
                   meta.set = {};
                   meta.epoch = session.party().scope().eid;
                   state.loaded().put(session.party(), meta, bits);
                 }
               }));
    keep();
  }
  /// And so many unfinished batches that nothing is made in its epoch any more.
  void make_full_room_of_before(size_t n) {
    make_room_of_before(n);
    for (PartyId i = 0; i < n; ++i) state(i)->once().begin_batches(kDirtyMax);
    keep();
  }
  static void import(MemberSession& session, uint8_t version) {
    const PartyId self = session.state().self();
    SecretFile file;
    file.name = "joint/key";
    file.kind = "test";
    file.value_class = "raw";
    file.length = 2;
    file.replaces = version - 1u;
    file.material =
        SecretBytes::copy_of(Bytes{self == 0 ? version : uint8_t{0}, static_cast<uint8_t>(self)});
    EXPECT_EQ(import_secret(session, file, Digest{}).version, version);
  }
  static void keep_signing_key(MemberSession& session) {
    store::RecordMeta meta;
    meta.epoch = session.party().scope().eid;
    meta.id[0] = 9;
    meta.name = "joint/key v2/r/s/20260101";
    meta.kind = kSigningKeyKind;
    meta.bits = 256;
    meta.provenance = session.state().secret("joint/key").origin();  // else nobody's, and erased
    session.state().loaded().put(session.party(), meta, session.source().random_bits(256));
  }
  /// Snapshot of all state, and back to it.
  void keep() {
    fs::remove_all(root_ / "kept");
    fs::copy(root_ / "live", root_ / "kept", fs::copy_options::recursive);
  }
  void back() {
    fs::remove_all(root_ / "live");
    fs::copy(root_ / "kept", root_ / "live", fs::copy_options::recursive);
  }

  std::unique_ptr<MemberState> state(PartyId i) {
    return std::make_unique<MemberState>(room_, members_[i]);
  }

  /// Runs `body` at all members, a process each; how each ended.
  std::vector<int> contact(const Body& body) { return contact(body, Options()); }
  std::vector<int> contact(const Body& body, const Options& options) {
    std::vector<pid_t> children;
    for (PartyId i = 0; i < n_; ++i) {
      const pid_t child = fork();
      if (child == 0) _exit(run_member(i, body, options));
      children.push_back(child);
    }
    std::vector<int> out;
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      out.push_back(WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    }
    return out;
  }
  int run_member(PartyId i, const Body& body, const Options& options) {
    alarm(240);  // a hang is a failure
    try {
      SessionOptions session_options;
      session_options.fault = [&](std::string_view step) {
        const bool victim = options.victim == i || options.victim == kEverybody;
        if (victim && step == options.step) kill(getpid(), SIGKILL);
      };
      MemberState state(room_, members_[i], session_options.fault);
      MemberSession session(state, session_options);
      if (options.prepare) options.prepare(i, session.party());
      session.guard([&] { body(session); });
    } catch (const ProtocolAbort& abort) {
      return abort_status(abort.code());
    } catch (const InputError& error) {
      std::cerr << members_[i].name << ": " << error.what() << "\n";
      return kInput;
    }
    return HasFailure() ? kFailedExpectation : kOk;
  }
  static void refresh(MemberSession& session) {
    session.start();
    const RefreshPlan plan = plan_refresh(session);
    EXPECT_GE(plan.dirty, 0u);
    MemberState& state = session.state();
    (void)agreement::approve(session.party(), state.identity(), state.signing_keys(),
                             refresh_proposal(state.room(), plan));
    EXPECT_EQ(refresh_secrets(session, plan) == plan.epoch, plan.of_before.empty());
  }
  static void new_epoch(MemberSession& session) { EXPECT_TRUE(session.ensure_epoch(true)); }
  /// Every version has its value, as a row or as before, under the keys of the epoch that all are
  /// in.
  static void open_everything(MemberSession& session) {
    session.start();
    MemberState& state = session.state();
    std::set<uint32_t> versions;
    const auto expect_value = [&](const store::RecordMeta& meta, const prep::AuthBits& shares) {
      const auto bits = prep::open_bits(session.party(), session.source().delta(), shares, "test");
      if (meta.kind == kSigningKeyKind) return;
      EXPECT_TRUE(versions.insert(meta.version).second);
      uint8_t second = 0;
      for (size_t i = 0; i < session.party().num_parties(); ++i) {
        second = static_cast<uint8_t>(second ^ i);
      }
      for (unsigned b = 0; b < 8; ++b) {
        EXPECT_EQ(bits[b], meta.version >> b & 1);
        EXPECT_EQ(bits[8 + b], second >> b & 1);
      }
    };
    for (const store::RecordMeta& meta : state.secrets().list()) {
      expect_value(meta, session.shares(meta));
    }
    for (const store::RecordMeta& meta : state.loaded().list()) {
      expect_value(meta, state.loaded().get(meta.id, meta.version));
    }
    EXPECT_EQ(versions, (std::set<uint32_t>{1, 2}));
  }
  static void expect_all(int expected, const std::vector<int>& ends) {
    for (size_t i = 0; i < ends.size(); ++i) EXPECT_EQ(ends[i], expected) << "member " << i;
  }
  /// After the next contact everything is in one epoch at all members, with that epoch's counters.
  /// Returns true if it is another one than `before`.
  bool expect_one_epoch(const Digest& before) {
    expect_all(kOk, contact(open_everything));
    const Digest epoch = epoch_of(0);
    for (PartyId i = 0; i < n_; ++i) {
      const auto member = state(i);
      EXPECT_EQ(epoch_of(i), epoch);
      for (const auto& meta : member->loaded().list()) EXPECT_EQ(meta.epoch, epoch);
      EXPECT_FALSE(store::EpochChange(member->db(), member->rid()).staged());
      // A killed session, of which a test has at most two, counts as one batch more
      // (store/open_mark.h).
      const auto counters = member->once().counters();
      EXPECT_GE(counters.dirty, epoch == before ? kDirtyMax : 0u);
      EXPECT_LE(counters.dirty, epoch == before ? kDirtyMax + 2 : 0u);
      EXPECT_GE(counters.life, kDirtyMax);
      EXPECT_LE(counters.life, kDirtyMax + 2);
    }
    return epoch != before;
  }
  /// The set of all rows, which is one at all members.
  store::RowSet set_of_all() {
    std::set<store::RowSet> sets;
    for (PartyId i = 0; i < n_; ++i) {
      const auto member = state(i);
      EXPECT_EQ(member->secrets().num_staged(), 0u);
      for (const auto& meta : member->secrets().list()) {
        // Two imports are two sets; what is asked here is whether members differ.
        if (meta.version == 2) sets.insert(meta.set);
        EXPECT_EQ(meta.epoch, Digest{});
      }
    }
    EXPECT_EQ(sets.size(), 1u);
    return *sets.begin();
  }
  /// Alters member i's row of version 2.
  void alter_row(PartyId i, const std::function<void(std::span<uint8_t>)>& change) {
    const auto member = state(i);
    const std::string kind = store::rows_of_room("row", member->rid());
    const auto under = [](ByteView meta) {
      return store::row_associated_data(store::RecordMeta::decode(meta));
    };
    const Bytes key = store::record_key(member->secret("joint/key").id, 2);
    auto row = member->db().get(kind, key, under);
    change(row->secret.writable());
    member->db().put(kind, key, row->meta, row->secret.reveal(), under);
  }
  Digest epoch_of(PartyId i) {
    const auto member = state(i);
    return store::EpochStore(member->db()).load(member->rid())->epoch_id;
  }

  fs::path root_;
  size_t n_ = 0;
  RoomConfig room_;
  std::vector<MemberConfig> members_;
};

}  // namespace flexroom::session
