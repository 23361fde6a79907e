#include "room/shipped_flows.h"

#include <system_error>

#include "base/error.h"

namespace flexroom::room {

std::filesystem::path shipped_flows() {
  std::error_code ignored;
  const std::filesystem::path program =
      std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const std::filesystem::path& folder :
       {program / "../share/flexroom/flows", program / "../../share/flows"}) {
    if (std::filesystem::exists(folder / "create-account.toml", ignored)) {
      return std::filesystem::canonical(folder, ignored);
    }
  }
  throw InputError("the shipped flow files", "are not beside this program",
                   "they belong into ../share/flexroom/flows");
}

}  // namespace flexroom::room
