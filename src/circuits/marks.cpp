#include "circuits/marks.h"

#include <algorithm>

namespace flexroom::circuits {

Text add_secret_text(mpc::Builder& builder, size_t bytes) {
  return text_of(builder.add_input("text", mpc::InputKind::kDyn, static_cast<uint32_t>(8 * bytes)));
}

void keep_marks(mpc::Builder& builder, std::string_view name, const Bits& marks) {
  const auto first =
      std::find_if(marks.begin(), marks.end(), [](Bit mark) { return !mark.is_constant(); });
  builder.add_output(name, mpc::OutputKind::kKeep, Bits(first, marks.end()));
}

}  // namespace flexroom::circuits
