#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/codec.h"
#include "flow/run_store.h"

// Bytes of docs/formats.md "Flows", and of the rows of flows in both databases, written down here
// by hand. Whoever changes one of these changes what other versions read: then also the page, and
// its form.

namespace flexroom::flow::state_bytes {
namespace {

namespace fs = std::filesystem;

std::string repeated(const char* byte, int count) {
  std::string out;
  for (int k = 0; k < count; ++k) out += byte;
  return out;
}
std::string text(std::string_view of) { return to_hex(Writer().field(of).bytes()); }
Digest filled(uint8_t with) {
  Digest out;
  out.fill(with);
  return out;
}

const RunId kRun = "abcdefghijklmnopqrstuvwxyz";
// u32 26 and the letters.
const std::string kRunText = "0000001a6162636465666768696a6b6c6d6e6f707172737475767778797a";

ValueMeta password() {
  ValueMeta out;
  out.name = "a/pw";
  out.version = 3;
  out.tag = filled(7);
  out.value_class = ValueClass::kHex;
  out.entropy = 128;
  out.purposes = {"x", "yz"};
  out.min = 16;
  out.max = 32;
  out.born = true;
  out.provider = "p";
  out.account = "born a a/pw";
  return out;
}
const std::string kPassword =
    "00000004612f7077"                 // name
    "00"                               // public
    "00000003" +                       // version
    repeated("07", 32) +               // tag
    "00000003686578"                   // class
    "00000080"                         // entropy
    "00000002"                         // purposes
    "0000000178"                       // x
    "00000002797a"                     // yz
    "00000010"                         // least
    "00000020"                         // most
    "01"                               // born
    "0000000170"                       // provider
    "0000000b626f726e206120612f7077";  // account

ValueMeta shown() {
  ValueMeta out;
  out.name = "id";
  out.is_public = true;
  out.tag = sha256(as_bytes("4711"));
  out.value_class = ValueClass::kDigits;
  out.provider = "p";
  return out;
}

RunHead head() { return {"a", "f", filled(1), filled(2), {filled(3), filled(4)}}; }
const std::string kHead = "0000000161" + std::string("0000000166") + repeated("01", 32) +
                          repeated("02", 32) + "00000002" + repeated("03", 32) + repeated("04", 32);

Change change() {
  Change out;
  out.run = kRun;
  out.number = 1;
  out.previous = filled(5);
  out.head = head();
  out.at = {"other", 2};
  out.attempts = {{"s", 9}};
  out.refused = {{"s", 1}, {"t", 2}};
  out.step = "s";
  out.event = "done";
  out.time = 0x123456789a;
  out.values = {{password(), true}};
  out.voided = {"v"};
  out.voided_of_run = {"w", "x"};
  out.proves = "a";
  return out;
}
const std::string kPlace = "000000056f74686572" + std::string("00000002");
const std::string kCounts = "00000001" + std::string("0000000173") + "00000009" +  // attempts
                            "00000002" + "0000000173" + "00000001" + "0000000174" + "00000002";
const std::string kChange = "01" + kRunText + "0000000000000001" + repeated("05", 32) + "01" +
                            kHead + kPlace + kCounts + "0000000173" + "00000004646f6e65" +
                            "000000123456789a" + "00000001" + kPassword + "01" +  // to the room
                            "00000001" + "0000000176" +                           // void there
                            "00000002" + "0000000177" + "0000000178" +            // of the run
                            "0000000161" + "00";

TEST(FlowBytes, AValue) {
  Writer out;
  password().put(out);
  EXPECT_EQ(to_hex(out.bytes()), kPassword);
  const Bytes bytes = from_hex(kPassword);
  Reader in(bytes, "test");
  EXPECT_EQ(ValueMeta::get(in), password());
  in.finish();
}

TEST(FlowBytes, AHead) {
  Writer out;
  head().put(out);
  EXPECT_EQ(to_hex(out.bytes()), kHead);
  const Bytes bytes = from_hex(kHead);
  Reader in(bytes, "test");
  EXPECT_EQ(RunHead::get(in), head());
  in.finish();
}

TEST(FlowBytes, AChange) {
  EXPECT_EQ(to_hex(change().encode()), kChange);
  EXPECT_EQ(to_hex(Change::decode(from_hex(kChange)).encode()), kChange);
  EXPECT_EQ(change().digest(),
            RandomOracle("flow change", RoScope{}).field(from_hex(kChange)).digest());
  Change bare;  // no head, nothing in the lists, the run's last
  bare.run = kRun;
  bare.number = 2;
  bare.end = true;
  EXPECT_EQ(to_hex(bare.encode()), "01" + kRunText + "0000000000000002" + repeated("00", 32) +
                                       "00" + "000000046d61696e" + "00000000" +
                                       repeated("00000000", 4) + "0000000000000000" +
                                       repeated("00000000", 4) + "01");
}

/// One member's two databases.
class FlowRowBytes : public ::testing::Test {
 protected:
  FlowRowBytes() : rid_(filled(6)) {
    char name[] = "/tmp/flexroom-flow-rows-XXXXXX";
    root_ = mkdtemp(name);
    state_ = std::make_unique<store::SealedDb>(root_ / "state.db", [&](bool, Bytes&) {
      return store::SealKey::create(root_ / "state.key");
    });
    once_ = open_once("once", false);
  }
  ~FlowRowBytes() override { fs::remove_all(root_); }
  std::unique_ptr<store::OnceDb> open_once(const std::string& name, bool expected) const {
    return std::make_unique<store::OnceDb>(root_ / (name + ".db"), root_ / (name + ".key"),
                                           expected, store::OnceDb::Limits{16, 64});
  }
  /// The row of that kind in this room; its kind has a line on the page.
  static store::SealedDb::Row row(store::SealedDb& db, const std::string& kind, ByteView id) {
    std::ifstream page(fs::path(FLEXROOM_SOURCE_DIR) / "docs/formats.md");
    const std::string all{std::istreambuf_iterator<char>(page), {}};
    EXPECT_NE(all.find("\n| `" + kind + "@ROOM` |"), std::string::npos) << kind;
    auto found = db.get(kind + "@06060606060606060606060606060606", id);
    EXPECT_TRUE(found.has_value()) << kind;
    return found ? std::move(*found) : store::SealedDb::Row();
  }
  const store::RoomId rid_;
  fs::path root_;
  std::unique_ptr<store::SealedDb> state_;
  std::unique_ptr<store::OnceDb> once_;
};

TEST_F(FlowRowBytes, OfStateDb) {
  RunStore store(*state_, *once_, rid_, 1);
  Change first = change();
  first.values = {{password(), true}, {shown(), false}};
  first.proves = "";
  store::RowSet set{};
  set.fill(8);
  ValueBytes bytes;
  bytes["a/pw"] = secret_bytes({filled(7), 16, set, SecretBytes::copy_of(as_bytes("row"))});
  bytes["id"] = SecretBytes::copy_of(as_bytes("4711"));
  store.stage(first, bytes);
  const auto staged = row(*state_, "flow staged", as_bytes(kRun));
  EXPECT_EQ(to_hex(staged.meta), to_hex(first.encode()));
  const std::string secret = "00000010" + repeated("08", 16) + "726f77";
  EXPECT_EQ(to_hex(staged.secret.reveal()), "00000002" + std::string("00000004612f7077") +
                                                "00000017" + secret + "000000026964" +
                                                "0000000434373131");

  net::Signature ok{};
  ok.fill(9);
  store.commit(kRun, {ok, ok});
  EXPECT_EQ(to_hex(row(*state_, "flow run", as_bytes(kRun)).meta),
            "01" + kRunText + kHead + "0000000000000001" + to_hex(first.digest()) + kPlace +
                "00000000" + kCounts + "00");
  EXPECT_EQ(to_hex(row(*state_, "flow oks", as_bytes(kRun)).meta),
            "00000002" + repeated("09", 128));
  const Bytes room_id = from_hex("00000006726f6f6d2061" + std::string("00000004612f7077"));
  const auto of_room = row(*state_, "flow value", room_id);
  EXPECT_EQ(to_hex(of_room.meta), "02" + kPassword);
  EXPECT_EQ(of_room.secret.size(), 0u);
  const Bytes run_id = from_hex(text("run " + kRun) + "000000026964");
  EXPECT_EQ(as_text(row(*state_, "flow value", run_id).secret.reveal()), "4711");

  // The secret's row is a record of the room.
  const Digest owner =
      RandomOracle("flow record", RoScope{}).field("room a").field("a/pw").digest();
  store::RecordId id{};
  std::copy_n(owner.begin(), id.size(), id.begin());
  const auto record = store::SecretStore(*state_, rid_).find(id, 3);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->meta.provenance, filled(7));
  EXPECT_EQ(record->meta.kind, "flow f");
  EXPECT_EQ(record->meta.set, set);
}

TEST_F(FlowRowBytes, OfOnceDb) {
  RunStore store(*state_, *once_, rid_, 1);
  Armed armed;
  armed.attempt = 2;
  armed.time = 3;
  armed.prefix = "a";
  armed.flow = "f";
  armed.leaves = "left";
  armed.settle_seconds = 600;
  store.arm(kRun, "s", armed, {{"born a a/pw", 5}});
  store::SealedDb& rows = once_->rows();
  EXPECT_EQ(to_hex(row(rows, "flow armed", from_hex(kRunText + "0000000173")).meta),
            "00000002" + std::string("0000000000000003") + "0000000161" + "0000000166" +
                "000000046c656674" + "0000000000000258");
  EXPECT_EQ(to_hex(row(rows, "flow run", as_bytes(kRun)).meta),
            "0000000161" + std::string("0000000166") + "00");
  EXPECT_EQ(to_hex(row(rows, "flow ledger", sha256(as_bytes("born a a/pw"))).meta),
            "00000005" + std::string("0000000b626f726e206120612f7077"));
  store.close({kRun, "a", "f"});
  EXPECT_EQ(to_hex(row(rows, "flow run", as_bytes(kRun)).meta),
            "0000000161" + std::string("0000000166") + "01");
}

TEST_F(FlowRowBytes, OfAOnceDbThatReplacesALostOne) {
  {
    RunStore store(*state_, *once_, rid_, 1);
    Change first = change();
    first.values.clear();
    store.stage(first, {});
    store.commit(kRun, {});
  }
  const auto later = open_once("later", true);
  ASSERT_TRUE(later->was_lost());
  const RunStore store(*state_, *later, rid_, 0x77);
  EXPECT_TRUE(row(later->rows(), "flow ledger full", {}).meta.empty());
  EXPECT_EQ(to_hex(row(later->rows(), "flow lost", as_bytes(kRun)).meta),
            "0000000000000077" + std::string("0000000161") + "0000000166" + "00000001" +
                "0000000173" + "00000009");
  EXPECT_EQ(to_hex(row(later->rows(), "flow run", as_bytes(kRun)).meta),
            "0000000161" + std::string("0000000166") + "00");
}

}  // namespace
}  // namespace flexroom::flow::state_bytes
