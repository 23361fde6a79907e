#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/room_rig.h"

namespace flexroom::support {

/// A room beside the sandbox, for tests of flows: a base of their fixtures.
class SandboxFlows {
 protected:
  using Ended = RoomRig::Ended;
  using Prepare = std::function<void(PartyId, cli::Common&)>;

  /// `sandbox`: more of its command line, asked for when the room has its folder.
  void set_up(size_t n, const std::function<std::vector<std::string>()>& sandbox = nullptr) {
    rig_ = std::make_unique<RoomRig>(n);
    rig_->start_sandbox(sandbox ? sandbox() : std::vector<std::string>());
    all_ok(rig_->init());
    account_ = rig_->joint_account();
  }
  /// The key of the sandbox's joint account, as the room's joint/key.
  void import_key(const nlohmann::json& purposes) {
    nlohmann::json terms = RoomRig::signs();
    terms["purposes"] = purposes;
    rig_->write_shares("k.json", "joint/key", account_["secret_access_key"].get<std::string>(),
                       "b64", terms);
    all_ok(rig_->import("k.json"));
  }
  FlowKey joint_key() const { return {"joint/key", account_["access_key_id"].get<std::string>()}; }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  void write_all(const std::string& name, const std::string& text) {
    for (PartyId i = 0; i < rig_->size(); ++i) rig_->write(i, name, text);
  }

  struct Given {
    FlowKey key = {};
    std::map<std::string, std::string> arguments = {};
    std::string go_on = {}, abandon = {};
    Prepare prepare = nullptr;
  };
  /// At all members: one file, or what write_all() gave that name.
  std::vector<Ended> run_file(const std::filesystem::path& file, const Given& given) {
    return run_files([&](PartyId) { return file; }, given);
  }
  std::vector<Ended> run_own(const std::string& name, const Given& given) {
    return run_files([&](PartyId i) { return rig_->dir(i) / name; }, given);
  }
  static std::filesystem::path shipped_flow(const std::filesystem::path& source,
                                            const std::string& name) {
    return source / "share/flows" / (name + ".toml");
  }
  /// The texts of that member's log, which is whole.
  std::vector<std::string> log_of(PartyId i) {
    const Ended log = rig_->run_one(i, [](PartyId, cli::Output& to, cli::Common& common) {
      return cli::show_log(to, common, true);
    });
    EXPECT_EQ(log.code, cli::kOk) << log.out;
    std::vector<std::string> out;
    const nlohmann::json last = log.last();
    for (const nlohmann::json& entry : last["entries"]) out.push_back(entry["text"]);
    return out;
  }
  /// That each member's output and all of its files are free of these.
  void expect_unknown(const std::vector<Ended>& ended, const std::vector<std::string>& secrets) {
    for (PartyId i = 0; i < rig_->size(); ++i) {
      std::string all = ended[i].out;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(rig_->dir(i))) {
        if (entry.is_regular_file()) all += RoomRig::read(entry.path());
      }
      for (const std::string& secret : secrets) {
        ASSERT_GE(secret.size(), 16u);
        EXPECT_EQ(all.find(secret), std::string::npos) << "member " << i;
      }
    }
  }

  std::unique_ptr<RoomRig> rig_;
  nlohmann::json account_;

 private:
  std::vector<Ended> run_files(const std::function<std::filesystem::path(PartyId)>& file,
                               const Given& given) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      if (given.prepare) given.prepare(i, common);
      return cli::run_flow(out, common, file(i), given.arguments, given.go_on, given.abandon,
                           given.key);
    });
  }
};

}  // namespace flexroom::support
