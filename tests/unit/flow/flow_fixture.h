#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "flow/flow.h"

namespace flexroom::flow {

inline std::filesystem::path shipped(const std::string& name) {
  return std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml");
}

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  EXPECT_TRUE(in) << file;
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The room of the shipped files: one provider, whose mail host is a mailbox.
inline RoomView sandbox_room() {
  Provider provider;
  provider.name = "sandbox";
  provider.hosts = {"*"};
  provider.host_mailbox["mail.flexroom.example"] = true;
  RoomView out;
  out.providers = std::vector<Provider>{provider};
  return out;
}

inline const std::vector<std::string>& shipped_names() {
  static const std::vector<std::string> names = {
      "create-account", "create-session", "run-script-classic", "quota-increase",
      "quota-state",    "support-case",   "support-mail",       "buy-card",
      "buy-card-pdf",   "enrol-totp",     "drop-totp",          "chat-key",
      "ask-chat"};
  return names;
}

inline Flow load_shipped(const std::string& name) {
  return load_flow(shipped(name), sandbox_room());
}

/// A shipped file with texts replaced, each of which must stand there.
inline Flow edited(const std::string& name,
                   const std::vector<std::pair<std::string, std::string>>& edits) {
  std::string text = text_of(shipped(name));
  for (const auto& [old_text, new_text] : edits) {
    bool any = false;
    for (size_t at = text.find(old_text); at != std::string::npos;
         at = text.find(old_text, at + new_text.size())) {
      text.replace(at, old_text.size(), new_text);
      any = true;
    }
    EXPECT_TRUE(any) << old_text;
  }
  return parse_flow(text, shipped(name), sandbox_room());
}

/// "place: problem", or "accepted".
template <typename Action>
std::string refusal_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.place() + ": " + error.problem();
  }
  return "accepted";
}

}  // namespace flexroom::flow
