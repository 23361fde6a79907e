#include "people/ballots.h"

#include "unit/people/people_fixture.h"

namespace flexroom::people {
namespace {

class BallotsTest : public PeopleTest {
 protected:
  Voice said(const std::string& name, VirtualAuthenticator& with) {
    return asked(*desk_, name, with);
  }
  void SetUp() override {
    begin();
    desk_ = std::make_unique<Desk>(desk());
    about_ = matter();
    about_.room = room_;
    about_.member = member_;
    about_.rule_version = 1;
    about_.person = "ann";
  }
  Ballots ballots() { return Ballots(*once_, room_); }
  std::unique_ptr<Desk> desk_;
  PersonStatement about_;
};

// Days may lie between two voices, and a process that is killed: they stand on disk, once a person.
TEST_F(BallotsTest, AreOnDiskAndOneAPerson) {
  ballots().put(about_, said("ann", ann_));
  ballots().put(about_, said("ann", ann2_));
  open_files(true);
  desk_ = std::make_unique<Desk>(desk());
  EXPECT_EQ(ballots().of(about_).size(), 1u);
  ballots().put(about_, said("bob", bob_));
  std::vector<Voice> all = ballots().of(about_);
  EXPECT_TRUE(
      counted(rules_->current()->rule, about_, "", all, local_relying_parties(7180)).enough());
  EXPECT_EQ(all.size(), 2u);
  ballots().drop(about_);
  EXPECT_TRUE(ballots().of(about_).empty());
}

// Voices about something else do not add up, in whatever it differs.
TEST_F(BallotsTest, AreOfOneMatter) {
  ballots().put(about_, said("ann", ann_));
  for (const auto& change : std::vector<std::function<void(PersonStatement&)>>{
           [](PersonStatement& st) { st.what[3] ^= 1; },
           [](PersonStatement& st) { st.terms[0] ^= 1; },
           [](PersonStatement& st) { st.versions[0] ^= 1; },
           [](PersonStatement& st) { st.not_after += 1; },
           [](PersonStatement& st) { st.rule_version += 1; },
           [](PersonStatement& st) { st.kind = StatementKind::kReject; }}) {
    PersonStatement other = about_;
    change(other);
    EXPECT_TRUE(ballots().of(other).empty());
  }
  PersonStatement of_bob = about_;
  of_bob.person = "bob";
  of_bob.ticket[0] = 9;
  EXPECT_EQ(ballots().of(of_bob).size(), 1u);
}

TEST_F(BallotsTest, AreTakenBackAndForgotten) {
  ballots().put(about_, said("ann", ann_));
  EXPECT_FALSE(ballots().take_back(about_, "bob"));
  EXPECT_TRUE(ballots().take_back(about_, "ann"));
  EXPECT_TRUE(ballots().of(about_).empty());
  ballots().put(about_, said("ann", ann_));
  ballots().prune(1000, 1);
  EXPECT_EQ(ballots().of(about_).size(), 1u);
  ballots().prune(1000, 2);  // another rule
  EXPECT_TRUE(ballots().of(about_).empty());
  ballots().put(about_, said("ann", ann_));
  ballots().prune(1001, 1);  // its window is over
  EXPECT_TRUE(ballots().of(about_).empty());
}

// Who proposed does not count where the rule says so; nor does what the rule no longer holds.
TEST_F(BallotsTest, AreCountedUnderTheRule) {
  ballots().put(about_, said("ann", ann_));
  ballots().put(about_, said("bob", bob_));
  Rule now = rules_->current()->rule;
  std::vector<Voice> all = ballots().of(about_);
  now.not_own = true;
  EXPECT_FALSE(counted(now, about_, "ann", all, local_relying_parties(7180)).enough());
  EXPECT_EQ(all.size(), 1u);
  all = ballots().of(about_);
  now.persons[0].keys.erase(now.persons[0].keys.begin());
  EXPECT_EQ(counted(now, about_, "", all, local_relying_parties(7180)).count(), 1u);
}

// The reason that goes to the others is part of what is signed.
TEST_F(BallotsTest, ReasonsDiffer) {
  EXPECT_NE(reason_digest("no"), reason_digest("not now"));
  EXPECT_NE(reason_digest(""), Digest{});
}

}  // namespace
}  // namespace flexroom::people
