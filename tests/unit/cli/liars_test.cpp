#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tcp_mesh.h"
#include "session/approval.h"
#include "session/room_terms.h"
#include "session/secret_import.h"
#include "support/room_rig.h"

// A corrupted member inside the commands: what it says differs from what it does, or from what it
// says to others. The honest members stop, nothing is stored or signed, and the next run works.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;

class LiarsTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(GetParam());
    all_ok(rig_->init());
    rig_->write_shares("ours.json", "joint/key", "0123456789abcdef", "raw");
  }
  PartyId liar() const { return static_cast<PartyId>(GetParam() - 1); }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  static agreement::Proposal bound(support::Inside& joined, const agreement::Proposal& proposal) {
    return session::of_this_room(joined.state(), proposal);
  }
  Digest our_proposal(support::Inside& joined) const {
    return bound(joined, proposal_of("ours.json")).digest();
  }
  /// All import; the liar from `file`, with `tamper` on what it sends. `signatures`: how many an
  /// honest member sent on the proposal.
  std::vector<Ended> import_with(const std::string& file, const net::Tamper& tamper) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      common.connected = [&, i](net::Party& party) {
        if (i == liar()) {
          party.set_tamper(tamper);
        } else {
          party.set_observer([&](const net::MessageId& id, ByteView) {
            if (id.label == "proposal/answer") out.event("signed", {});
          });
        }
      };
      return cli::secret_import(out, common, rig_->dir(i) / (i == liar() ? file : "ours.json"));
    });
  }
  size_t stored(PartyId i) {
    return rig_
        ->run_one(i, [](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::secret_list(out, common); })
        .last()["secrets"]
        .size();
  }
  bool burned(PartyId i) {
    return rig_
        ->run_one(i, [](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::status(out, common); })
        .last()["burned"];
  }
  static bool signed_something(const Ended& e) {
    return e.out.find("\"signed\"") != std::string::npos;
  }
  /// The honest members import; the liar comes to the same point and does something else.
  using Lie = std::function<void(support::Inside&)>;
  std::vector<Ended> import_against(const Lie& lie) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) -> int {
      if (i != liar()) {
        common.connected = [&](net::Party& party) {
          party.set_observer([&](const net::MessageId& id, ByteView) {
            if (id.label == "proposal/answer") out.event("signed", {});
          });
        };
        return cli::secret_import(out, common, rig_->dir(i) / "ours.json");
      }
      support::Inside joined(out, common, "secret import");
      joined.session().guard([&] {
        joined.joined().start();
        session::agree_on_name(
            joined.session(),
            session::SecretFile::load(rig_->dir(i) / "ours.json", "m" + std::to_string(i)));
        lie(joined);
      });
      return cli::kOk;
    });
  }
  static void tell(support::Inside& joined, std::string_view label, const Digest& digest) {
    (void)joined.session().party().exchange(label, digest);
  }
  static void approve(support::Inside& joined, const agreement::Proposal& proposal) {
    (void)agreement::approve(joined.session().party(), joined.state().identity(),
                             joined.state().signing_keys(), proposal);
  }
  agreement::Proposal proposal_of(const std::string& file) const {
    return session::import_proposal(RoomConfig::load(rig_->dir(0) / "room.toml"),
                                    session::SecretFile::load(rig_->dir(0) / file, "m0"));
  }

  std::unique_ptr<RoomRig> rig_;
};

// members.md 5.2: what one member would sign and another could not read is refused before anything
// else is said.
TEST_P(LiarsTest, WhoReadsOtherFormsIsRefusedByName) {
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) -> int {
    if (i != liar()) return cli::secret_import(out, common, rig_->dir(i) / "ours.json");
    const auto state = room::open_state(common.member_file, nullptr);
    const RoomConfig& room = state->room();
    net::Party party(net::TcpMesh::join(session::mesh_of(room, state->member(), nullptr, nullptr),
                                        state->identity()),
                     Prg::from_system());
    std::vector<session::Term> terms = session::meeting_terms("secret import", room);
    terms[1].value = "format 2, text forms 1 to 4";
    (void)session::exchange_terms(party, terms);
    return cli::kOk;
  });
  for (PartyId i = 0; i < liar(); ++i) {
    EXPECT_EQ(ended[i].code, cli::kRefused) << ended[i].out;
    EXPECT_THAT(ended[i].out, HasSubstr("forms that are read of proposals"));
    EXPECT_THAT(ended[i].out, HasSubstr("text forms 1 to 3"));
    EXPECT_THAT(ended[i].out, HasSubstr("text forms 1 to 4"));
    EXPECT_EQ(stored(i), 0u);
  }
}

TEST_P(LiarsTest, WhoHidesThatItProposesSomethingElseIsFoundOut) {
  rig_->write_shares("theirs.json", "joint/key", "0123456789abcdef", "hex");
  const agreement::Proposal theirs = proposal_of("theirs.json");
  const auto honest_refuse = [&](const std::vector<Ended>& ended, const std::string& why) {
    bool said = false;
    for (PartyId i = 0; i < liar(); ++i) {
      // The slower one may only hear that another stopped.
      EXPECT_TRUE(ended[i].code == cli::kRefused || ended[i].code == cli::kNetworkFailed)
          << ended[i].out;
      said = said || ended[i].error().find(why) != std::string::npos;
      EXPECT_EQ(stored(i), 0u);
      EXPECT_FALSE(burned(i));
    }
    EXPECT_TRUE(said) << ended[0].out;
  };
  // From the beginning: nobody is asked.
  const auto first =
      import_against([&](support::Inside& joined) { approve(joined, bound(joined, theirs)); });
  honest_refuse(first, "field class differs");
  for (PartyId i = 0; i < liar(); ++i) {
    EXPECT_FALSE(signed_something(first[i]));
    EXPECT_EQ(first[i].out.find("\"proposal\""), std::string::npos) << "nothing was shown";
  }
  // Until the signature, which is on another digest.
  honest_refuse(import_against([&](support::Inside& joined) {
                  net::Party& party = joined.session().party();
                  party.echo("proposal/before");
                  tell(joined, "proposal/digest", our_proposal(joined));
                  party.echo("proposal/digest");
                  Bytes text(party.scope().sid.begin(), party.scope().sid.end());
                  append(text, bound(joined, theirs).digest());
                  Bytes answer(1, 1);  // yes
                  append(answer, joined.state().identity().sign("flexroom/proposal/1", text));
                  for (const PartyId j : party.peers()) party.send(j, "proposal/answer", answer);
                  (void)party.receive(0, "anything", 1);
                }),
                "wrong signature");
  all_ok(rig_->import("ours.json"));
}

// The operator is not asked when the proposals seem to differ; then nothing of his is signed, also
// if the peer turns out to want the same.
TEST_P(LiarsTest, WhoWasNotAskedSignsNothing) {
  const auto ended = import_against([&](support::Inside& joined) {
    net::Party& party = joined.session().party();
    Digest another = our_proposal(joined);
    another[0] ^= 1;
    party.echo("proposal/before");
    tell(joined, "proposal/digest", another);
    party.echo("proposal/digest");
    const Bytes ours = bound(joined, proposal_of("ours.json")).canonical();
    for (const PartyId j : party.peers()) party.send(j, "proposal/fields", ours);
    (void)party.receive(0, "anything", 1);
  });
  for (PartyId i = 0; i < liar(); ++i) {
    EXPECT_TRUE(ended[i].code == cli::kRefused || ended[i].code == cli::kNetworkFailed)
        << ended[i].out;
    EXPECT_EQ(ended[i].out.find("\"proposal\""), std::string::npos) << "nothing was shown";
    EXPECT_FALSE(signed_something(ended[i])) << ended[i].out;
    EXPECT_EQ(stored(i), 0u);
    EXPECT_FALSE(burned(i));
  }
  all_ok(rig_->import("ours.json"));
}

// With one other member there is nobody to tell another.
using TwoFacedTest = LiarsTest;
INSTANTIATE_TEST_SUITE_P(Rooms, TwoFacedTest, ::testing::Values(3));

TEST_P(TwoFacedTest, WhoTellsEachAnotherDigestIsFoundOut) {
  const auto ended = import_with("ours.json", [&](const net::MessageId& id, Bytes& payload) {
    if (id.label == "proposal/digest" && id.receiver == 0) payload[0] ^= 1;
  });
  for (PartyId i = 0; i < liar(); ++i) {
    EXPECT_NE(ended[i].code, cli::kOk);
    EXPECT_FALSE(signed_something(ended[i])) << ended[i].out;
    EXPECT_EQ(stored(i), 0u);
  }
}

// With three, what was said to one is held against what was said to the other before either
// decides: neither has it alone, and the next contact decides for both alike.
TEST_P(LiarsTest, DifferentOksInThePutLeaveNoMemberWithARecordOfItsOwn) {
  if (GetParam() == 2) return;  // with two there is nobody else to tell
  const auto ended = import_with("ours.json", [&](const net::MessageId& id, Bytes& payload) {
    if (id.label == "store/ok" && id.receiver == liar() - 1) payload[0] ^= 1;
  });
  for (PartyId i = 0; i < liar(); ++i) {
    EXPECT_TRUE(ended[i].code == cli::kRefused || ended[i].code == cli::kNetworkFailed)
        << ended[i].out;
    EXPECT_EQ(stored(i), 0u);
  }
  all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::init_room(out, common, false);
  }));
  for (PartyId i = 0; i < liar(); ++i) {
    EXPECT_EQ(stored(i), stored(0));
    EXPECT_FALSE(burned(i));
  }
}

// With two a last message can always be told or not. Then one holds the record and the other does
// not: that is noticed by init and before any use, and removal mends it.
TEST_P(LiarsTest, DifferentOksInThePutAreNoticedAtTheNextUse) {
  if (GetParam() != 2) return;  // with three they are noticed at once
  const auto ended = import_with("ours.json", [&](const net::MessageId& id, Bytes& payload) {
    if (id.label == "store/ok" && id.receiver == liar() - 1) payload[0] ^= 1;
  });
  const PartyId told_wrong = liar() - 1;
  EXPECT_EQ(ended[told_wrong].code, cli::kRefused) << ended[told_wrong].out;
  EXPECT_THAT(ended[told_wrong].error(), HasSubstr("another record"));
  EXPECT_EQ(stored(told_wrong), 0u);
  EXPECT_EQ(stored(liar()), 1u);
  for (const Ended& e : rig_->init()) {
    EXPECT_TRUE(e.code == cli::kRefused || e.code == cli::kNetworkFailed) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("'joint/key' version 1"));
  }
  const std::string id =
      rig_->run_one(liar(), [](PartyId, cli::Output& out,
                               cli::Common& common) { return cli::secret_list(out, common); })
          .last()["secrets"][0]["record"];
  const auto used = rig_->run([&](PartyId, cli::Output&, cli::Common& common) {
    cli::Output quiet(true);
    support::Inside joined(quiet, common);
    joined.session().guard([&] {
      joined.session().start();
      store::RecordId record{};
      const Bytes raw = from_hex(id);
      std::copy(raw.begin(), raw.end(), record.begin());
      joined.state().secrets().agree(joined.session().party(),
                                     std::vector<store::RecordId>{record});
    });
    return cli::kOk;
  });
  bool said = false;
  for (const Ended& e : used) {
    EXPECT_TRUE(e.code == cli::kRefused || e.code == cli::kNetworkFailed) << e.out;
    said = said || (e.error().find("version 1") != std::string::npos &&
                    e.error().find("secret remove") != std::string::npos);
  }
  EXPECT_TRUE(said);
  all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_remove(out, common, "joint/key");
  }));
  all_ok(rig_->import("ours.json"));
  for (PartyId i = 0; i < GetParam(); ++i) EXPECT_FALSE(burned(i));
}

INSTANTIATE_TEST_SUITE_P(Rooms, LiarsTest, ::testing::Values(2, 3));

}  // namespace
}  // namespace flexroom
