#include "room/flow_person.h"

#include <fmt/core.h>

#include <array>
#include <chrono>
#include <vector>

#include "base/base64.h"
#include "base/display.h"
#include "base/error.h"
#include "base/private_file.h"

namespace flexroom::room {
namespace {

/// A picture as a service sends it: `data:image/png;base64,..`, of the kinds that are no program.
struct Picture {
  std::string_view kind;
  Bytes bytes;
};
std::optional<Picture> picture_of(std::string_view value) {
  constexpr std::array<std::string_view, 4> kKinds = {"png", "jpeg", "gif", "webp"};
  for (const std::string_view kind : kKinds) {
    const std::string before = "data:image/" + std::string(kind) + ";base64,";
    if (!value.starts_with(before)) continue;
    auto bytes = base64_decode(value.substr(before.size()));
    if (bytes && !bytes->empty()) return Picture{kind, std::move(*bytes)};
  }
  return std::nullopt;
}

/// The pictures of one question: gone with it, and with them the folder that nothing else lies in.
class Pictures {
 public:
  explicit Pictures(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Pictures(const Pictures&) = delete;
  Pictures& operator=(const Pictures&) = delete;
  ~Pictures() {
    std::error_code ignored;
    for (const std::filesystem::path& file : files_) std::filesystem::remove(file, ignored);
    if (!files_.empty()) std::filesystem::remove(folder_, ignored);
  }
  /// Nothing: it could not be written.
  std::optional<std::filesystem::path> add(const Picture& picture) {
    const std::filesystem::path file =
        folder_ / fmt::format("picture-{}.{}", files_.size() + 1, picture.kind);
    try {
      for (const auto& made : {folder_.parent_path(), folder_}) make_private_folder(made);
    } catch (const InputError&) {
      return std::nullopt;
    }
    std::error_code ignored;
    std::filesystem::remove(file, ignored);  // of a process that was killed
    if (!write_new_file(file, picture.bytes)) return std::nullopt;
    files_.push_back(file);
    return file;
  }

 private:
  const std::filesystem::path folder_;
  std::vector<std::filesystem::path> files_;
};

}  // namespace

std::optional<std::string> FlowPerson::answer(const Question& question) {
  flexroom::Question out;
  out.kind = flexroom::Question::Kind::kText;
  out.text = fmt::format("{}, step {}: all members will see the answer. Within {} s.\n",
                         display(question.flow), display(question.step), question.within_seconds);
  Pictures pictures(folder_());
  for (const auto& [name, value] : question.shown) {
    out.shown[name] = value;
    if (const auto picture = picture_of(value)) {
      if (const auto file = pictures.add(*picture)) {
        out.text += fmt::format("  {}: a picture, {} bytes, in {}\n", display(name),
                                picture->bytes.size(), file->string());
        continue;
      }
    }
    // Whatever a service sent: as one line that moves no cursor.
    out.text += fmt::format("  {}: {}\n", display(name), display_text(value, 65'536));
  }
  const auto asked = std::chrono::steady_clock::now();
  out.within = std::chrono::seconds(question.within_seconds);
  auto said = decider_.human_input(out);
  // The step's `none`, also where a Decider knows no hurry.
  if (std::chrono::steady_clock::now() - asked > *out.within) return std::nullopt;
  return said;
}

}  // namespace flexroom::room
