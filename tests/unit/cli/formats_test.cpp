#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "base/codec.h"
#include "prep/epoch.h"
#include "room/named_secrets.h"
#include "runs/history.h"
#include "store/room_store.h"
#include "store/secret_store.h"
#include "support/deal_epoch.h"
#include "support/room_rig.h"

// docs/formats.md, held against what a room leaves on disk.

namespace flexroom {
namespace formats_test {

using support::RoomRig;
using Ended = RoomRig::Ended;

std::string page() {
  std::ifstream in(std::filesystem::path(FLEXROOM_SOURCE_DIR) / "docs/formats.md");
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The names in the first cells of the tables of a text.
std::set<std::string> names_in(const std::string& text) {
  std::istringstream lines(text);
  std::set<std::string> out;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    std::istringstream cell(line.substr(2, line.find(" |", 2) - 2));  // "`a`, `b`"
    for (std::string part; std::getline(cell, part, '`') && std::getline(cell, part, '`');) {
      out.insert(part);
    }
  }
  return out;
}

/// Kinds in the tables below that heading.
std::set<std::string> documented(const std::string& heading) {
  const std::string text = page();
  const size_t begin = text.find("### " + heading);
  return names_in(text.substr(begin, text.find("\n#", begin + 1) - begin));
}

std::set<std::string> kinds_of(const std::filesystem::path& file) {
  std::set<std::string> out;
  sqlite3* db = nullptr;
  sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READONLY, nullptr);
  const auto row = [](void* all, int, char** values, char**) {
    static_cast<std::set<std::string>*>(all)->insert(values[0]);
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(db, "SELECT DISTINCT CAST(kind AS TEXT) FROM rows", row, &out, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  return out;
}

std::string as_documented(std::string kind) {
  if (kind.starts_with("mark/")) return "mark/KIND";
  if (kind.starts_with("bound/")) return "bound/KIND";
  const size_t room = kind.find('@');
  return room == std::string::npos ? kind : kind.substr(0, room) + "@ROOM";
}

/// Rows of both databases are on the page.
void expect_on_page(const std::filesystem::path& state) {
  for (const auto& [file, heading] :
       {std::pair{"state.db", "Rows of state.db"}, std::pair{"once.db", "Rows of once.db"}}) {
    const auto on_page = documented(heading);
    EXPECT_GE(on_page.size(), 8u) << heading;
    const auto found = kinds_of(state / file);
    EXPECT_GE(found.size(), 5u) << file;
    for (const std::string& kind : found) {
      EXPECT_TRUE(on_page.contains(as_documented(kind))) << file << " has " << kind;
    }
  }
}

/// A run of a flow that is committed, with a value, armed, and about to be committed again.
void leave_a_run(session::MemberState& state) {
  flow::RunStore store = room::flow_store(state);
  flow::Change change;
  change.run = std::string(flow::kRunIdChars, 'a');
  change.number = 1;
  change.head = flow::RunHead{"p", "f", {}, {}, {}};
  flow::ValueMeta value;
  value.name = "v";
  value.is_public = true;
  change.values = {{value, true}};
  flow::ValueBytes bytes;
  bytes["v"] = SecretBytes::copy_of(as_bytes("text"));
  store.stage(change, bytes);
  change = store.commit(change.run, {});
  flow::Armed armed;
  armed.attempt = 1;
  store.arm(change.run, "s", armed, {{"born p v", 1}});
  change.number = 2;
  store.stage(change, bytes);
}

TEST(FormatsTest, EveryKindOfRowThatARoomLeavesIsOnThePage) {
  RoomRig rig(2);
  const auto all_run = [&](const RoomRig::Command& command) {
    for (const Ended& e : rig.run(command)) ASSERT_EQ(e.code, cli::kOk) << e.out;
  };
  for (const Ended& e : rig.init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
  rig.write_shares("k.json", "k", "0123456789abcdef", "hex");
  for (const Ended& e : rig.import("k.json")) ASSERT_EQ(e.code, cli::kOk) << e.out;
  all_run(
      [](PartyId, cli::Output& out, cli::Common& common) { return cli::stock(out, common, 1); });
  const std::filesystem::path state = rig.dir(0) / "state";
  expect_on_page(state);
  all_run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_remove(out, common, "k");
  });
  {
    const auto own = room::open_state(rig.dir(0) / "member.toml", nullptr);
    const auto removals = own->db().labels(store::rows_of_room("removal", own->rid()));
    ASSERT_EQ(removals.size(), 1u);
    EXPECT_EQ(removals[0].id.size(), 32u);
    // Erased and logged; the name, and no prefix and name of a flow's value.
    EXPECT_EQ(to_hex(removals[0].meta),
              "03"
              "00000001"
              "6b"
              "00000000"
              "00000000");
    leave_a_run(*own);
  }
  expect_on_page(state);
  const auto kinds = kinds_of(state / "state.db"), once = kinds_of(state / "once.db");
  for (const char* kind : {"removal", "flow run", "flow staged", "flow oks", "flow value"}) {
    EXPECT_TRUE(std::any_of(kinds.begin(), kinds.end(), [&](const std::string& one) {
      return one.starts_with(kind + std::string("@"));
    })) << kind;
  }
  for (const char* kind : {"flow armed", "flow run", "flow ledger"}) {
    EXPECT_TRUE(std::any_of(once.begin(), once.end(), [&](const std::string& one) {
      return one.starts_with(kind + std::string("@"));
    })) << kind;
  }
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(state)) {
    files.insert(entry.path().filename());
  }
  for (const std::string& file : files) {
    if (file.ends_with("-wal") || file.ends_with("-shm")) continue;
    EXPECT_NE(page().find("`state/" + file), std::string::npos) << file;
  }
}

std::set<std::string> documented_runs() {
  const std::string text = page();
  const size_t begin = text.find("## Runs");
  return names_in(text.substr(begin, text.find("\n## ", begin) - begin));
}

TEST(FormatsTest, ARunsFolderIsOnThePage) {
  char name[] = "/tmp/flexroom-formats-XXXXXX";
  const std::filesystem::path state = mkdtemp(name);
  Digest rid{};
  rid.fill(1);
  runs::RunHistory history(state, rid);
  runs::Run run;
  run.id = std::string(64, 'a');
  run.proposal = run.session = std::string(64, 'b');
  run.result_name = "RESULT";
  history.begin(run, "https://store.example/");
  for (const std::string file : {"RESULT", "earlier-RESULT", "failure.txt", "answer.partial"}) {
    EXPECT_EQ(history.keep(run, file, {}), file);
  }
  EXPECT_EQ(history.keep(run, "failure.txt", {}), "failure-2.txt");
  std::filesystem::remove(history.folder(run) / "failure-2.txt");
  EXPECT_EQ(history.folder(run),
            state / "runs" / std::string("0101010101010101") / std::string("aaaaaaaaaaaaaaaa"));
  const std::set<std::string> on_page = documented_runs();
  for (const auto& entry : std::filesystem::directory_iterator(history.folder(run))) {
    EXPECT_TRUE(on_page.contains(entry.path().filename())) << entry.path();
  }
  std::ifstream in(history.folder(run) / "run.json");
  const auto json = nlohmann::json::parse(in);
  EXPECT_EQ(json["format"], 1);
  for (const auto& [key, value] : json.items()) EXPECT_TRUE(on_page.contains(key)) << key;
  for (int state_of_run = 0; state_of_run <= int(runs::RunState::kStopped); ++state_of_run) {
    const std::string word(runs::to_string(static_cast<runs::RunState>(state_of_run)));
    EXPECT_NE(page().find("`" + word + "`"), std::string::npos) << word;
  }
  std::filesystem::remove_all(state);
}

TEST(FormatsTest, AnEpochIsThatOfThePage) {
  const auto epochs = support::deal_epoch(2, 4);
  const SecretBytes bytes = epochs[1].serialise();
  Writer expected;
  expected.field("flexroom epoch 1").raw(epochs[1].eid).u32(1).u32(2);
  expected.raw(block_bytes(epochs[1].delta)).raw(block_bytes(epochs[1].zero_keys[0])).u8(4);
  const ot::PairSeeds& pair = epochs[1].pairs[0];
  EXPECT_EQ(pair.sender_leaves.bytes().size(), size_t{128 / 4} * 16 * 16);
  expected.raw(pair.sender_leaves.bytes()).raw(pair.receiver_leaves.bytes());
  EXPECT_EQ(to_hex(bytes.reveal()), to_hex(expected.bytes()));
}

// Whoever changes one of these changes what other versions read: then also the
// page, and its form.
TEST(FormatsTest, BytesAreThoseOfThePage) {
  store::RecordMeta meta;
  meta.epoch.fill(1);
  meta.id.fill(2);
  meta.version = 3;
  meta.name = "n";
  meta.kind = "k";
  meta.value_class = "raw";
  meta.bits = 8;
  meta.provenance.fill(4);
  std::string expected = std::string(64, '0');
  for (size_t t = 1; t < 64; t += 2) expected[t] = '1';
  for (int t = 0; t < 16; ++t) expected += "02";
  expected +=
      "00000003"
      "00000001"
      "6e"
      "00000001"
      "6b"
      "00000003"
      "726177"
      "00000008";
  for (int t = 0; t < 32; ++t) expected += "04";
  EXPECT_EQ(to_hex(meta.encode()), expected);

  store::MemberId mid{};
  mid.fill(5);
  EXPECT_EQ(store::rows_of_room("secret", meta.epoch), "secret@01010101010101010101010101010101");
  EXPECT_EQ(to_hex(store::record_key(meta.id, 3)),
            "02020202020202020202020202020202"
            "00000003");
  EXPECT_EQ(to_hex(store::first_member_id(meta.epoch)),
            to_hex(RandomOracle("member id", RoScope{}).field(meta.epoch).digest()).substr(0, 32));
}

}  // namespace formats_test
}  // namespace flexroom
