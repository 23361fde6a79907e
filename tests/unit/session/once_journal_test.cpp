#include "session/once_journal.h"

#include "unit/store/store_fixture.h"

// The journal of a session (boolean-engine.md §8.2).

namespace flexroom::store {
namespace {

class OnceJournalTest : public StoreTest {
 protected:
  static Digest id(uint8_t number) {
    Digest out{};
    out[0] = number;
    return out;
  }
  template <typename Action>
  static std::optional<AbortCode> code_of(Action action) {
    try {
      action();
    } catch (const ProtocolAbort& abort) {
      return abort.code();
    }
    return std::nullopt;
  }
};

TEST_F(OnceJournalTest, AnInstanceThatIsMarkedAheadStartsOnce) {
  const auto once = open_once("a");
  session::OnceJournal journal(*once, id(99));
  journal.mark_ahead(std::vector{id(1), id(2)});
  EXPECT_TRUE(once->marked("instance", id(1)));
  journal.start(id(1));
  EXPECT_EQ(code_of([&] { journal.start(id(1)); }), AbortCode::kReuse);
  // What the answer before left over is marked already, what started is not marked again.
  journal.mark_ahead(std::vector{id(2), id(3)});
  EXPECT_EQ(code_of([&] { journal.mark_ahead(std::vector{id(1), id(4)}); }), AbortCode::kReuse);
  EXPECT_FALSE(once->marked("instance", id(4)));
  journal.start(id(2));
  journal.start(id(3));
  journal.start(id(5));  // not marked ahead
  EXPECT_TRUE(once->marked("instance", id(5)));
  EXPECT_EQ(code_of([&] { journal.start(id(5)); }), AbortCode::kReuse);
  // To another session nothing is ahead.
  session::OnceJournal other(*once, id(98));
  EXPECT_EQ(code_of([&] { other.start(id(2)); }), AbortCode::kReuse);
}

// Another session may see a check fail between the mark and the start.
TEST_F(OnceJournalTest, NothingStartsInAnEpochThatWasBurnedMeanwhile) {
  const auto once = open_once("a");
  session::OnceJournal journal(*once, id(99));
  journal.mark_ahead(std::vector{id(1)});
  once->burn(AbortCode::kMac, 0);
  EXPECT_EQ(code_of([&] { journal.start(id(1)); }), AbortCode::kEpochBurned);
  EXPECT_EQ(code_of([&] { journal.mark_ahead(std::vector{id(2)}); }), AbortCode::kEpochBurned);
}

}  // namespace
}  // namespace flexroom::store
