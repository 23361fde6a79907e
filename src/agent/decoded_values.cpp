#include "agent/decoded_values.h"

#include <fmt/core.h>

#include "agent/wires.h"
#include "base/error.h"
#include "mpc/builder.h"

namespace flexroom::agent {
namespace {

using circuits::Text;

constexpr size_t kPaddingBits = 3;

std::string text_name(size_t k) { return fmt::format("text_{}", k); }
std::string bytes_name(size_t k) { return fmt::format("bytes_{}", k); }
std::string padding_name(size_t k) { return fmt::format("padding_{}", k); }

bool may_be_padded(TextCode code, size_t chars) {
  return code == TextCode::kBase64 && chars % 4 == 0;
}

void add_value(mpc::Builder& builder, size_t k, TextCode code, uint32_t chars) {
  const Text text =
      circuits::text_of(builder.add_input(text_name(k), mpc::InputKind::kDyn, 8 * chars));
  builder.add_output(bytes_name(k), mpc::OutputKind::kKeep,
                     circuits::bits_of(circuits::decode(code, text)));
  if (code != TextCode::kBase64) return;
  const circuits::Padding padding = circuits::padding_of(text);
  mpc::Bits opened = {padding.fits};
  if (may_be_padded(code, chars)) {
    opened.push_back(padding.one_or_two);
    opened.push_back(padding.two);
  }
  builder.add_output(padding_name(k), mpc::OutputKind::kOpenAll, opened);
}

/// How many bytes the opened bits leave; nothing: the text is none.
std::optional<uint32_t> bytes_left(uint32_t chars, const std::vector<uint8_t>& padding) {
  if (padding.empty() || padding[0] != 1) return std::nullopt;
  const uint32_t pads = padding.size() < kPaddingBits ? 0u : padding[1] + padding[2];
  return decoded_bytes(TextCode::kBase64, chars, pads);
}

}  // namespace

uint64_t decode_ands(TextCode code, uint32_t chars) {
  while (chars > 0 && !decoded_bytes(code, chars)) --chars;
  if (chars == 0) return 0;
  mpc::Builder builder;
  add_value(builder, 0, code, chars);
  return builder.num_ands();
}

std::optional<std::vector<prep::AuthBits>> decode_values(net::Party& party, boolean::Engine& engine,
                                                         std::span<const EncodedValue> values) {
  mpc::Builder builder;
  RandomOracle view("view", party.scope());
  view.field("decode").field(uint64_t{values.size()});
  std::vector<uint32_t> chars;
  for (size_t k = 0; k < values.size(); ++k) {
    const prep::AuthBits& text = *values[k].text;
    FLEXROOM_ASSERT(text.size() % 8 == 0);
    chars.push_back(static_cast<uint32_t>(text.size() / 8));
    // Lengths are public: all members find the same.
    if (!decoded_bytes(values[k].code, chars[k])) return std::nullopt;
    add_value(builder, k, values[k].code, chars[k]);
    view.field(uint64_t{static_cast<uint8_t>(values[k].code)}).field(uint64_t{chars[k]});
  }
  if (values.empty()) return std::vector<prep::AuthBits>();
  const auto program = std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
  const auto instance =
      engine.prepare(program, std::vector<prep::AuthBits>(program->inputs.size()), "decode");
  boolean::OnlineInputs inputs = empty_inputs(*program);
  for (size_t k = 0; k < values.size(); ++k) {
    inputs.dyn[program->input_group(text_name(k))] = values[k].text;
  }
  inputs.view = view.digest();
  boolean::Outputs outputs = engine.run(*instance, inputs);
  engine.confirm(*instance);
  std::vector<prep::AuthBits> out;
  for (size_t k = 0; k < values.size(); ++k) {
    prep::AuthBits& bytes = outputs.kept[program->output_group(bytes_name(k))];
    if (values[k].code == TextCode::kBase64) {
      const auto left =
          bytes_left(chars[k], outputs.opened[program->output_group(padding_name(k))]);
      if (!left) return std::nullopt;
      bytes = bytes.take_front(size_t{8} * *left);
    }
    out.push_back(std::move(bytes));
  }
  return out;
}

}  // namespace flexroom::agent
