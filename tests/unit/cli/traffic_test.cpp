#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prep/epoch.h"
#include "session/approval.h"
#include "session/secret_import.h"
#include "store/epoch_store.h"
#include "support/canaries.h"
#include "support/room_rig.h"
#include "support/sweeps.h"

// Every message between the members of a whole import and a whole run-script, as protocols send it
// (below it is TLS): no secret, no share of one, no private link, no key of a member is in it.

namespace flexroom {
namespace {

using support::Canaries;
using support::RoomRig;

TEST(CanariesTest, EachFormIsFoundAndNothingElse) {
  Canaries canaries;
  const std::string secret = "s3cr/t+with=odd&bytes";
  canaries.add("it", as_bytes(secret));
  const auto finds = [&](const std::string& text) {
    return canaries.find(as_bytes("before " + text + " after")).has_value();
  };
  EXPECT_TRUE(finds(secret));
  EXPECT_TRUE(finds("733363722f742b776974683d6f64642662797465732e"));
  EXPECT_TRUE(finds("s3cr%2Ft%2Bwith%3Dodd%26bytes"));
  EXPECT_TRUE(finds("czNjci90K3dpdGg9b2RkJmJ5dGVz"));
  EXPECT_TRUE(finds("eHMzY3IvdCt3aXRoPW9kZCZieXRlcw=="));  // behind one byte
  std::string bits;
  for (const char c : secret) {
    for (int b = 0; b < 8; ++b) bits.push_back(static_cast<char>(c >> b & 1));
  }
  EXPECT_TRUE(finds(bits));
  EXPECT_FALSE(finds(secret.substr(1)));
  EXPECT_FALSE(finds("nothing of it"));
}

class TrafficTest : public ::testing::TestWithParam<size_t> {
 protected:
  /// What of this member's own state must stay here.
  static void own_secrets(cli::Output& out, cli::Common& common) {
    const MemberConfig member = MemberConfig::load(common.member_file);
    session::MemberState state(RoomConfig::load(member.room_file), member);
    const auto saved = store::EpochStore(state.db()).load(state.rid());
    const prep::EpochState epoch = prep::EpochState::deserialise(saved->state.reveal());
    const ByteView delta = block_bytes(epoch.delta);
    nlohmann::json found{{"delta", to_hex(delta)}, {"shares", nlohmann::json::array()}};
    for (const store::RecordMeta& meta : state.secrets().list()) {
      const SecretBytes row = state.secrets().row(meta.id, meta.version);
      found["shares"].push_back(to_hex(row.reveal()));
      found["shares"].push_back(to_hex(row.reveal().subspan(16, meta.bits / 8)));
    }
    for (const store::RecordMeta& meta : state.loaded().list()) {
      const prep::AuthBits bits = state.loaded().get(meta.id, meta.version);
      Bytes packed(bits.size() / 8);
      for (size_t t = 0; t < bits.size(); ++t) {
        packed[t / 8] = static_cast<uint8_t>(packed[t / 8] | bits.share(t) << (t % 8));
      }
      found["shares"].push_back(to_hex(packed));
      const PartyId peer = state.self() == 0 ? 1 : 0;
      found["shares"].push_back(to_hex(bits.key[peer].bytes().first(64)));
    }
    out.result(found);
  }
  void write_job(PartyId i, const std::string& access_key, Canaries& canaries) {
    const std::string script = "print(1)\n";
    rig_->write(i, "s.py", script);
    rig_->write(i, "job.toml",
                "[job]\nname = \"t\"\nprovider = \"sandbox\"\nregion = \"us-east-1\"\n"
                "image_id = \"ami-0123456789abcdef0\"\ninstance_type = \"t3.large\"\n"
                "access_key_id = \"" +
                    access_key +
                    "\"\nsecret = \"joint/key\"\n"
                    "[script]\nurl = \"https://scripts.s3.amazonaws.com/s.py\"\nsha256 = \"" +
                    to_hex(sha256(as_bytes(script))) +
                    "\"\nfile = \"s.py\"\ninterpreter = \"python3\"\n");
    const nlohmann::json urls = objects_.at(i);
    std::string links;
    for (const auto& [which, value] : urls.items()) {
      const auto url = value.get<std::string>();
      links += which + " = \"" + url + "\"\n";
      const size_t path = url.find('/', 8) + 1;
      canaries.add("object of member " + std::to_string(i),
                   as_bytes(std::string_view(url).substr(path, url.find('?') - path)));
      canaries.add("signature of member " + std::to_string(i),
                   as_bytes(std::string_view(url).substr(url.rfind('=') + 1)));
    }
    rig_->write(i, "links.toml", links);
  }
  static std::string host(PartyId i) {
    return "bucket-of-member-" + std::to_string(i) + ".s3.amazonaws.com";
  }
  /// A bucket and an object of each member in the sandbox, and links to them from boto3.
  void make_objects() {
    const std::filesystem::path program = rig_->root() / "objects.py";
    std::ofstream(program) << R"python(
import boto3, json, sys
from botocore.config import Config
cloud, members = sys.argv[1], int(sys.argv[2])
keys = next(a for a in json.load(open(cloud + "/accounts.json")) if a["account"] == "joint")
port = json.load(open(cloud + "/endpoints.json"))["port"]
def s3(endpoint, style):
    return boto3.client("s3", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
                        aws_secret_access_key=keys["secret_access_key"], endpoint_url=endpoint,
                        verify=cloud + "/ca.pem",
                        config=Config(signature_version="s3v4", s3={"addressing_style": style}))
out = []
for i in range(members):
    bucket = f"bucket-of-member-{i}"
    client = s3(f"https://localhost:{port}", "path")
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=f"data/half-{i}-0a1b2c3d4e5f", Body=b"row")
    sign = lambda method, key: s3(None, "virtual").generate_presigned_url(
        method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=7200)
    result = f"result/half-{i}-0a1b2c3d4e5f"
    out.append({"data_url": sign("get_object", f"data/half-{i}-0a1b2c3d4e5f"),
                "result_url": sign("put_object", result), "result_get_url": sign("get_object", result)})
json.dump(out, open(cloud + "/objects.json", "w"))
)python";
    const std::string cloud = (rig_->root() / "cloud").string();
    ASSERT_EQ(std::system(("/usr/bin/python3 " + program.string() + " " + cloud + " " +
                           std::to_string(GetParam()))
                              .c_str()),
              0);
    objects_ = nlohmann::json::parse(RoomRig::read(cloud + "/objects.json"));
  }
  /// Runs it at all members and searches what each sends; `control` is public and must be found.
  void run_searched(const Canaries& canaries, const Canaries& control,
                    const RoomRig::Command& command) {
    const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      size_t messages = 0, bytes = 0, controls = 0;
      std::string leak;
      common.connected = [&](net::Party& party) {
        party.set_observer([&](const net::MessageId& id, ByteView payload) {
          ++messages;
          bytes += payload.size();
          if (const auto what = canaries.find(payload)) leak += *what + " in " + id.label + "; ";
          controls += control.find(payload).has_value();
        });
      };
      const int code = command(i, out, common);
      EXPECT_EQ(leak, "");
      EXPECT_GT(controls, 0u) << "the search finds what is there";
      EXPECT_GT(messages, 20u);
      EXPECT_GT(bytes, size_t{100'000});
      return code;
    });
    for (const auto& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }

  std::unique_ptr<RoomRig> rig_;
  nlohmann::json objects_;
};

TEST_P(TrafficTest, NoSecretIsInAnyMessageBetweenMembers) {
  rig_ = std::make_unique<RoomRig>(GetParam());
  rig_->start_sandbox();
  for (const auto& e : rig_->init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
  const nlohmann::json account = rig_->joint_account();
  const std::string secret = account["secret_access_key"];
  Canaries canaries;
  canaries.add("the secret", as_bytes(secret));
  const std::vector<Bytes> shares =
      rig_->write_shares("key.json", "joint/key", secret, "b64", RoomRig::signs());
  for (const Bytes& share : shares) canaries.add("a share of the import", share);
  const auto add_own = [&](const std::vector<RoomRig::Ended>& ended) {
    for (const auto& e : ended) {
      ASSERT_EQ(e.code, cli::kOk) << e.out;
      const nlohmann::json said = e.last();
      canaries.add("Delta", from_hex(said["delta"].get<std::string>()));
      for (const auto& share : said["shares"]) {
        canaries.add("a stored share", from_hex(share.get<std::string>()));
      }
    }
  };
  const auto own = [&] {
    return rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      own_secrets(out, common);
      return cli::kOk;
    });
  };
  add_own(own());
  Canaries control;
  // A proposal leaves as its digest.
  const auto proposal =
      session::import_proposal(RoomConfig::load(rig_->dir(0) / "room.toml"),
                               session::SecretFile::load(rig_->dir(0) / "key.json", "m0"));
  control.add(
      "the proposal",
      session::of_this_room(*room::open_state(rig_->dir(0) / "member.toml", nullptr), proposal)
          .digest());
  run_searched(canaries, control, [&](PartyId i, cli::Output& out, cli::Common& common) {
    return cli::secret_import(out, common, rig_->dir(i) / "key.json");
  });
  add_own(own());
  Canaries hosts;
  make_objects();
  for (PartyId i = 0; i < GetParam(); ++i) {
    write_job(i, account["access_key_id"], canaries);
    hosts.add("host", as_bytes(host(i)));
  }
  run_searched(canaries, hosts, [&](PartyId i, cli::Output& out, cli::Common& common) {
    return cli::run_script(out, common, {rig_->dir(i) / "job.toml", rig_->dir(i) / "links.toml"},
                           false);
  });
  EXPECT_EQ(rig_->sandbox_requests(), 1u);
  add_own(own());
}

INSTANTIATE_TEST_SUITE_P(Rooms, TrafficTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, TrafficTest, ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
