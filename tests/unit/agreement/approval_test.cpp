#include "agreement/approval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <semaphore>

#include "agreement/statement.h"
#include "base/codec.h"
#include "base/error.h"
#include "support/parties.h"

namespace flexroom::agreement {
namespace {

using ::testing::HasSubstr;

struct Signers {
  explicit Signers(size_t n) {
    for (size_t i = 0; i < n; ++i) {
      identities.push_back(net::Identity::make("m" + std::to_string(i)));
      keys.push_back(identities.back().signing_key());
    }
  }
  std::vector<net::Identity> identities;
  std::vector<net::SigningKey> keys;
};

Proposal proposal(const std::string& region) {
  Proposal p;
  p.kind = "call";
  p.text("recipe", "same").text("region", region);
  return p;
}

TEST(ApprovalTest, EqualProposalsAreSignedByAllForThisSessionOnly) {
  const Signers s(3);
  const auto run = support::run_parties(3, [&](net::Party& party) {
    const Proposal p = proposal("eu-1").commitment("slot", {1});
    const Approval a = approve(party, s.identities[party.id()], s.keys, p);
    const Approval read = Approval::decode(a.encode(), "here");
    Approval other_session = a, other_text = a, fewer = a;
    other_session.session[3] ^= 1;
    other_text.proposal.back() ^= 1;
    fewer.signatures.pop_back();
    return a.session == party.scope().sid && a.digest == p.digest() &&
           verify_approval(read, s.keys) && !verify_approval(other_session, s.keys) &&
           !verify_approval(other_text, s.keys) && !verify_approval(fewer, s.keys);
  });
  for (const auto& o : run.outcomes) EXPECT_TRUE(o.value.value_or(false));
}

TEST(ApprovalTest, TheDifferingFieldIsNamedAndASecretOneIsNotShown) {
  const Signers s(2);
  for (const bool secret : {false, true}) {
    size_t asked = 0;
    const auto run = support::run_parties(2, [&](net::Party& party) {
      Proposal p = proposal(!secret && party.id() == 1 ? "us-1" : "eu-1");
      p.commitment("pin", {static_cast<uint8_t>(secret ? party.id() : 0)});
      Deciding deciding;
      deciding.decide = [&](std::string&) {
        ++asked;
        return Answer::kYes;
      };
      (void)agree(party, s.identities[party.id()], s.keys, p, deciding);
      return true;
    });
    EXPECT_EQ(asked, 0u) << "nobody is asked about what is not the same";
    for (const auto& o : run.outcomes) {
      ASSERT_EQ(o.code(), AbortCode::kDisagreement);
      EXPECT_THAT(o.abort->what(),
                  HasSubstr(secret ? "field pin differs" : "field region differs"));
      EXPECT_THAT(o.abort->what(), HasSubstr(secret ? "(not shown)" : "us-1"));
    }
  }
}

// Who lies about its digest, its fields or its signature.
TEST(ApprovalTest, AnyAlteredMessageIsRefused) {
  const Signers s(2);
  struct Case {
    std::string label;
    size_t byte;
    AbortCode expected;
  };
  // Who lies about its digest goes on with its answer while we ask for its fields.
  for (const auto& [label, byte, expected] :
       {Case{"proposal/digest", 3, AbortCode::kUnexpectedMessage},
        Case{"proposal/answer", 0, AbortCode::kRefusedByRule},
        Case{"proposal/answer", 40, AbortCode::kRefusedByRule}}) {
    const auto run = support::run_parties(
        2,
        [&](net::Party& party) {
          (void)approve(party, s.identities[party.id()], s.keys, proposal("x"));
          return true;
        },
        support::flip_bit_of({1, 0, label, 0, 0}, byte), std::chrono::seconds(20));
    EXPECT_FALSE(run.outcomes[0].value.has_value()) << label;
    EXPECT_EQ(run.outcomes[0].code(), expected) << label;
  }
}

TEST(ApprovalTest, WhoShowsOtherFieldsThanItsDigestIsNamed) {
  const Signers s(2);
  for (const bool readable : {true, false}) {
    const auto run = support::run_parties(2, [&](net::Party& party) {
      const Proposal p = proposal("eu-1");
      if (party.id() == 0) {
        (void)approve(party, s.identities[0], s.keys, p);
        return true;
      }
      Bytes bytes = readable ? p.canonical() : to_bytes("no proposal");
      (void)party.exchange("proposal/digest",
                           readable ? proposal("us-1").digest() : proposal_digest(bytes));
      party.send(0, "proposal/fields", bytes);
      (void)party.receive_up_to(0, "proposal/fields", Proposal::kMaxBytes);
      return true;
    });
    ASSERT_EQ(run.outcomes[0].code(), AbortCode::kDisagreement);
    EXPECT_EQ(run.outcomes[0].abort->peer(), 1u);
    EXPECT_THAT(run.outcomes[0].abort->what(),
                HasSubstr(readable ? "another digest than that of its fields" : "cannot be read"));
  }
}

// M28, E2: "bank-y said no", not "connection lost"; and nobody's signature is used.
TEST(ApprovalTest, WhoSaysNoIsNamedToAllWithItsReason) {
  const Signers s(3);
  std::vector<std::string> heard(3);
  const auto run = support::run_parties(3, [&](net::Party& party) {
    Deciding deciding;
    deciding.decide = [&](std::string& reason) {
      reason = "budget\x1b";
      return party.id() != 1 ? Answer::kYes : Answer::kNo;
    };
    deciding.refused = [](const Digest& digest, const std::string& reason) {
      return RejectBody{digest, reason}.encode();
    };
    deciding.heard_refusal = [&](PartyId who, const Digest& digest, ByteView bytes) {
      const RejectBody body = RejectBody::decode(bytes, "refusal");
      EXPECT_EQ(body.proposal, digest);
      EXPECT_EQ(who, 1u);
      return heard[party.id()] = body.reason;
    };
    (void)agree(party, s.identities[party.id()], s.keys, proposal("x"), deciding);
    return true;
  });
  for (PartyId i = 0; i < 3; ++i) {
    ASSERT_EQ(run.outcomes[i].code(), AbortCode::kRefusedByRule);
    if (i == 1) {
      EXPECT_THAT(run.outcomes[i].abort->what(), HasSubstr("the operator said no"));
      continue;
    }
    EXPECT_EQ(run.outcomes[i].abort->peer(), 1u);
    EXPECT_THAT(run.outcomes[i].abort->what(),
                HasSubstr("member 2 said no: budget\\u{1b}; nothing was"));
    EXPECT_EQ(heard[i], "budget\x1b");
  }
}

// The other one read longer, and said yes to somebody who was gone by then.
TEST(ApprovalTest, ANoIsHeardAlsoByWhoAnswersLater) {
  const Signers s(2);
  std::binary_semaphore gone(0);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    Deciding deciding;
    deciding.decide = [&](std::string&) {
      if (party.id() == 0) gone.acquire();
      return party.id() == 0 ? Answer::kYes : Answer::kNo;
    };
    try {
      (void)agree(party, s.identities[party.id()], s.keys, proposal("x"), deciding);
    } catch (const ProtocolAbort&) {
      if (party.id() == 0) throw;
      party.abort();
      gone.release();
    }
    return true;
  });
  ASSERT_EQ(run.outcomes[0].code(), AbortCode::kRefusedByRule);
  EXPECT_THAT(run.outcomes[0].abort->what(), HasSubstr("said no"));
}

TEST(ApprovalTest, NobodyThereIsNoRefusal) {
  const Signers s(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    Deciding deciding;
    deciding.decide = [&](std::string&) {
      return party.id() == 0 ? Answer::kYes : Answer::kNotNow;
    };
    deciding.name = [](PartyId) { return std::string("bank-y"); };
    deciding.refused = [](const Digest&, const std::string&) -> Bytes {
      throw std::logic_error("nothing was refused");
    };
    (void)agree(party, s.identities[party.id()], s.keys, proposal("x"), deciding);
    return true;
  });
  ASSERT_EQ(run.outcomes[0].code(), AbortCode::kRefusedByRule);
  EXPECT_THAT(run.outcomes[0].abort->what(), HasSubstr("bank-y has nobody there to decide now"));
  EXPECT_THAT(run.outcomes[1].abort->what(), HasSubstr("nobody is here"));
}

TEST(ApprovalTest, WhoTellsEachAnotherDigestIsFoundOut) {
  const Signers s(3);
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        (void)approve(party, s.identities[party.id()], s.keys, proposal("x"));
        return true;
      },
      support::flip_bit_of({2, 0, "proposal/digest", 0, 0}), std::chrono::seconds(20));
  // A refusal: the epoch lives. The slower one may only hear that the other stopped.
  size_t refused = 0;
  for (PartyId i = 0; i < 2; ++i) {
    ASSERT_TRUE(run.outcomes[i].abort.has_value());
    EXPECT_NE(run.outcomes[i].abort->abort_class(), AbortClass::kBooleanCheat);
    refused += run.outcomes[i].code() == AbortCode::kDisagreement;
  }
  EXPECT_GE(refused, 1u);
}

}  // namespace
}  // namespace flexroom::agreement
