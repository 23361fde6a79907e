#include "run_fixture.h"

// A run against what the room has (operations.md (a) "Against the room", (c)): before births are
// drawn, before every release, and by what is stored, never by what a file says of it.

namespace flexroom::flow {
namespace {

const std::string kPurpose = "POST https://shop.flexroom.example/echo json /note={{}}";

/// A look at the cases, then the room's pin in a request.
Flow uses_pin() {
  return parse_flow(R"([flow]
name = "tell"
provider = "sandbox"
prefix = "note"
hosts = ["shop.flexroom.example"]
uses = ["pin"]
[[step]]
name = "Look"
request = """
GET /cases HTTP/1.1
Host: shop.flexroom.example
"""
[[step]]
name = "Tell"
request = """
POST /echo HTTP/1.1
Host: shop.flexroom.example
Content-Type: application/json

{"note": "{{pin}}"}
"""
on.unknown = "stop"
)",
                    shipped("tell"), sandbox_room());
}

/// Keeps a pin that the room may have already.
Flow keeps_pin(const std::string& more = "") {
  return parse_flow(R"([flow]
name = "keep"
provider = "sandbox"
prefix = "note"
hosts = ["shop.flexroom.example"]
)" + more + R"([[step]]
name = "Get"
request = """
POST /echo HTTP/1.1
Host: shop.flexroom.example
Content-Type: application/json

{"a": "4711"}
"""
on.unknown = "stop"
[step.keep."kept/pin"]
at = "json /a"
class = "digits"
length = 4
replace = true
[[step]]
name = "Prove"
request = """
GET /cases HTTP/1.1
Host: shop.flexroom.example
"""
proves = "kept"
)",
                    shipped("keep"), sandbox_room());
}

ValueMeta pin(const std::string& name = "pin") {
  ValueMeta out;
  out.name = name;
  out.tag = sha256(as_bytes(name));
  out.value_class = ValueClass::kDigits;
  out.min = out.max = 4;
  out.provider = "sandbox";
  out.account = "kept elsewhere.example body/pin";
  return out;
}

/// Another flow's run that left this in the room, at one member.
void leave(RunStore& store, const ValueMeta& meta, const std::string& of = "seed") {
  Change change;
  change.run = base32_name(sha256(as_bytes(of)));
  change.number = 1;
  change.head = RunHead{"note", of, {}, {}, {}};
  change.values.push_back({meta, true});
  change.end = true;
  ValueBytes bytes;
  NewSecret made{meta.tag, 4, {1}, SecretBytes::copy_of(as_bytes("row"))};
  bytes[meta.name] = meta.is_public ? std::move(made.row) : secret_bytes(made);
  store.stage(change, bytes);
  (void)store.commit(change.run, {});
}

void leave_at_all(History& h, const ValueMeta& meta) {
  h.toy.vault[meta.tag] = "4711";
  for (PartyId i = 0; i < h.n(); ++i) {
    h.look(i, [&](RunStore& store) {
      leave(store, meta);
      return 0;
    });
  }
}

size_t runs_of(History& h, const std::string& flow) {
  return h.look(0, [&](RunStore& store) {
    size_t out = 0;
    for (const RunState& run : store.runs()) out += run.head.flow == flow ? 1 : 0;
    return out;
  });
}

bool says(const std::vector<std::string>& ended, const std::string& text) {
  bool all = true;
  for (const std::string& one : ended) {
    all &= one.find(text) != std::string::npos;
    EXPECT_NE(one.find(text), std::string::npos) << one;
  }
  return all;
}

// What flows keep are records of the room (store/secret_store.h): whoever erases one there, or puts
// another in its place, leaves no value behind.
TEST(FlowStore, ASecretIsItsRecord) {
  History h(2);
  const ValueMeta meta = pin();
  leave_at_all(h, meta);
  const auto there = [&] {
    return h.look(0, [](RunStore& store) {
      EXPECT_EQ(store.room_values("note").size(), store.all_room_values().size());
      return store.room_value("note", "pin").has_value() && !store.room_values("note").empty();
    });
  };
  EXPECT_TRUE(there());
  h.look_at_secrets(0, [&](store::SecretStore& secrets) {
    const auto all = secrets.list();
    EXPECT_EQ(all.size(), 1u);
    const store::RecordMeta& record = all.front();
    EXPECT_EQ(record.name, "note:pin");
    EXPECT_EQ(record.kind, "flow seed");
    EXPECT_EQ(record.provider, "sandbox");
    EXPECT_EQ(record.bits, 32u);
    EXPECT_EQ(record.descent, store::Descent::kKept);
    EXPECT_TRUE(record.is_of_flow());
    // Of another sharing.
    store::Record other{record, SecretBytes::copy_of(as_bytes("row"))};
    other.meta.provenance[0] ^= 1;
    secrets.put_committed(other);
    return 0;
  });
  EXPECT_FALSE(there());
  h.look(0, [&](RunStore& store) {
    leave(store, meta, "again");
    return 0;
  });
  EXPECT_TRUE(there());
  h.look_at_secrets(0, [&](store::SecretStore& secrets) {
    secrets.remove(secrets.list().front().id);
    return 0;
  });
  EXPECT_FALSE(there());
}

TEST(FlowStore, AReplacedOrErasedValueLeavesNoRecord) {
  History h(2);
  ValueMeta meta = pin();
  leave_at_all(h, meta);
  meta.version = 2;
  meta.tag[0] ^= 1;
  h.look(0, [&](RunStore& store) {
    leave(store, meta, "later");
    return 0;
  });
  h.look_at_secrets(0, [](store::SecretStore& secrets) {
    EXPECT_EQ(secrets.list().size(), 1u);
    EXPECT_EQ(secrets.list().front().version, 2u);
    return 0;
  });
  h.look(0, [](RunStore& store) {
    store.erase_room_value("note", "pin");
    return 0;
  });
  EXPECT_EQ(h.look_at_secrets(0, [](store::SecretStore& secrets) { return secrets.list().size(); }),
            0u);
}

/// As in a state.db of before a `secret refresh`: the same values, in rows of another set.
void put_other_rows(History& h, PartyId member, const std::string& end_of_name) {
  h.look_at_secrets(member, [&](store::SecretStore& secrets) {
    size_t changed = 0;
    for (const store::RecordMeta& meta : secrets.list()) {
      if (!meta.name.ends_with(end_of_name)) continue;
      auto record = secrets.find(meta.id, meta.version);
      record->meta.set[0] ^= 1;
      secrets.put_committed(*record);
      ++changed;
    }
    EXPECT_EQ(changed, 1u);
    return 0;
  });
}

TEST(FlowRows, RowsOfBeforeARefreshAreAnotherVersion) {
  History h(2);
  ASSERT_TRUE(h.finish(load_shipped("create-account"), 1)) << h.last[0];
  h.toy.at_step = [](const std::string& name) {
    if (name == "GetCallerIdentity") {
      throw ProtocolAbort(AbortCode::kCancelled, name, "stopped");
    }
  };
  (void)h.session(load_shipped("create-session"));
  h.toy.at_step = nullptr;
  put_other_rows(h, 1, ":keys/secret");
  const auto refused = h.session(load_shipped("create-session"));
  for (const std::string& one : refused) {
    EXPECT_NE(one.find("restored: READY: keys/secret has another version at some member, or other "
                       "rows"),
              std::string::npos)
        << one;
  }
  // What the run kept is void, and made again.
  const auto merged = h.session(load_shipped("create-session"), History::Op::kGoOn);
  ASSERT_TRUE(History::done(merged)) << merged[0] << " / " << merged[1];
  ASSERT_TRUE(h.finish(load_shipped("create-session"))) << h.last[0];
  EXPECT_EQ(h.toy.world.keys.size(), 1u);
  EXPECT_NE(h.current("account", "keys/secret"), "");
}

TEST(FlowRows, ABirthInRowsOfBeforeARefreshIsLost) {
  History h(2);
  ASSERT_TRUE(h.finish(load_shipped("create-account"), 1)) << h.last[0];
  h.toy.at_step = [](const std::string& name) {
    if (name == "ConsoleSignin") throw ProtocolAbort(AbortCode::kCancelled, name, "stopped");
  };
  (void)h.session(load_shipped("create-session"));
  h.toy.at_step = nullptr;
  put_other_rows(h, 1, ":account/password");
  for (const std::string& one : h.session(load_shipped("create-session"), History::Op::kGoOn)) {
    EXPECT_NE(one.find("the born secret account/password is lost"), std::string::npos) << one;
  }
}

class FlowRoom : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Members, FlowRoom, ::testing::Values(2, 3));

TEST_P(FlowRoom, WhatItDoesNotHaveIsRefusedBeforeARunBegins) {
  History h(GetParam());
  EXPECT_TRUE(says(h.session(uses_pin()), "uses pin, which the room does not have"));
  EXPECT_EQ(runs_of(h, "tell"), 0u);
  EXPECT_EQ(h.toy.releases, 0u);
}

// A prefix with births is used up: nothing may be drawn for a run that cannot begin.
TEST_P(FlowRoom, NothingIsDrawnForARunThatCannotBegin) {
  const auto born = [](const std::string& from) {
    return keeps_pin("[input.card]\nfrom = \"" + from +
                     "\"\nclass = \"digits\"\nlength = 4\n[born.password]\nalphabet = "
                     "\"base32\"\nlength = 26\n");
  };
  History h(GetParam());
  EXPECT_TRUE(says(h.session(born("nobody")), "nobody is no member"));
  EXPECT_EQ(runs_of(h, "keep"), 0u);
  EXPECT_TRUE(h.current("note", "password").empty());
  ASSERT_TRUE(h.finish(born("m1"), 1)) << h.last[0];
}

TEST_P(FlowRoom, AValueGoesWhereItsOwnPurposesSay) {
  History h(GetParam());
  ValueMeta meta = pin();
  meta.purposes = {kPurpose};
  leave_at_all(h, meta);
  ASSERT_TRUE(h.finish(uses_pin(), 1)) << h.last[0];
  EXPECT_EQ(h.toy.releases, 2u);
}

// At the release, not only when the run was approved: here it is another value by then.
TEST_P(FlowRoom, EveryReleaseIsHeldToWhatTheRoomHasThen) {
  History h(GetParam());
  ValueMeta meta = pin();
  meta.purposes = {kPurpose};
  leave_at_all(h, meta);
  std::vector<int> committed(h.n(), 0);
  h.at_durable = [&](PartyId i, std::string_view step, RunStore& store) {
    // The run's first commit, and that of Look.
    if (step != "flow/committed" || ++committed[i] != 2) return;
    ValueMeta other = pin();
    other.version = 2;
    other.purposes = {"sigv4 s3 r"};
    leave(store, other, "later");
  };
  EXPECT_TRUE(says(h.session(uses_pin()), "READY: m0: "));
  EXPECT_TRUE(says(h.session(uses_pin()), "pin has no purpose `" + kPurpose + "`"));
  EXPECT_EQ(h.toy.releases, 1u);
}

// One member's disk is wrong, and nobody else can see it: it says so, and all stop alike.
TEST_P(FlowRoom, AMemberWhoseRoomIsAnotherObjectsForAll) {
  History h(GetParam());
  ValueMeta meta = pin();
  meta.purposes = {kPurpose};
  leave_at_all(h, meta);
  int committed = 0;
  h.at_durable = [&](PartyId i, std::string_view step, RunStore& store) {
    if (i != 1 || step != "flow/committed" || ++committed != 2) return;
    ValueMeta other = meta;  // the same version of the same sharing
    other.purposes.clear();
    leave(store, other, "later");
  };
  EXPECT_TRUE(says(h.session(uses_pin()), "READY: m1: "));
  EXPECT_EQ(h.toy.releases, 1u);
}

TEST_P(FlowRoom, ATestOnASecretThatBecameShortIsNotReleased) {
  const std::string host = "hosts = [\"shop.flexroom.example\"]\n";
  std::string text = R"([flow]
name = "guess"
provider = "sandbox"
prefix = "note"
hosts = ["shop.flexroom.example"]
uses = ["pin"]
[argument.guess]
[[step]]
name = "Look"
request = """
GET /cases HTTP/1.1
Host: shop.flexroom.example
"""
[[step]]
name = "Tell"
request = """
POST /echo HTTP/1.1
Host: shop.flexroom.example
Content-Type: application/json

{"note": "{{pin}}"}
"""
assert.guess = { at = "json /note", equals = "{{guess}}" }
on.unknown = "stop"
)";
  const Flow flow = parse_flow(text, shipped("guess"), sandbox_room());
  History h(GetParam());
  h.arguments = {{"guess", "4711"}};
  ValueMeta meta = pin();
  meta.purposes = {kPurpose};
  meta.entropy = 128;
  leave_at_all(h, meta);
  std::vector<int> committed(h.n(), 0);
  h.at_durable = [&](PartyId i, std::string_view step, RunStore& store) {
    if (step != "flow/committed" || ++committed[i] != 2) return;
    ValueMeta other = meta;
    other.entropy = 0;
    leave(store, other, "later");
  };
  EXPECT_TRUE(says(h.session(flow), "Tell would show more bits of pin than were approved"));
  EXPECT_EQ(h.toy.releases, 1u);
  EXPECT_EQ(h.look(0, [&](RunStore& store) { return store.booked(meta.account); }), 0u);
}

// By the value's own mark, whatever its account is called.
TEST_P(FlowRoom, ABornValueIsNotReplaced) {
  History h(GetParam());
  ValueMeta meta = pin("kept/pin");
  meta.born = true;
  leave_at_all(h, meta);
  EXPECT_TRUE(says(h.session(keeps_pin()), "kept/pin was born: nothing replaces it"));
  EXPECT_EQ(h.toy.releases, 0u);
}

TEST_P(FlowRoom, AValueIsReplacedByOneOfItsLength) {
  for (const uint32_t length : {3u, 5u, 4u}) {
    History h(GetParam());
    ValueMeta meta = pin("kept/pin");
    meta.max = length;
    if (length < 4) meta.min = length;
    leave_at_all(h, meta);
    if (length == 4) {
      ASSERT_TRUE(h.finish(keeps_pin(), 1)) << h.last[0];
      continue;
    }
    EXPECT_TRUE(says(h.session(keeps_pin()), "another class, length, entropy or purposes"));
    EXPECT_EQ(h.toy.releases, 0u);
  }
}

}  // namespace
}  // namespace flexroom::flow
