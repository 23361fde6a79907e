// A program of one member that makes an agreed GET through the joint TLS client and decides by a
// rule of its own: only URLs of one host, and nothing it was not asked to do.
//
//   01_agreed_call member.toml https://host/path     (the same at every member)

#include <flexroom/flexroom.h>

#include <cstdio>
#include <string>

namespace {

class OnlyThisUrl final : public flexroom::Decider {
 public:
  explicit OnlyThisUrl(std::string url) : url_(std::move(url)) {}

  // What is approved here is what this member signs; all members proposed exactly this.
  Answer approve(const flexroom::Summary& summary) override {
    std::fprintf(stderr, "%s", summary.text.c_str());
    for (const auto& field : summary.fields) {
      if (field.name == "url" && field.value != url_) return Answer::kNo;
    }
    return summary.command == "get" ? Answer::kYes : Answer::kNo;
  }
  std::optional<std::string> human_input(const flexroom::Question&) override {
    return std::nullopt;  // there is no person here
  }
  void note(std::string_view text) override {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  }

 private:
  std::string url_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: 01_agreed_call MEMBER_TOML URL\n");
    return 2;
  }
  try {
    flexroom::RoomOptions options;
    options.member_file = argv[1];
    flexroom::Room room(options);
    OnlyThisUrl decider(argv[2]);
    flexroom::Session session(room, decider);
    const flexroom::ServiceAnswer answer = session.get({argv[2], ""});
    std::printf("status %d, %zu bytes\n", answer.status, answer.body.size());
    return 0;
  } catch (const flexroom::Error& error) {
    // Exit::kUnknown: the request left, nobody here knows what came of it.
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit());
  }
}
