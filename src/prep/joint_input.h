#pragma once

#include <string_view>
#include <vector>

#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// The sum of what members give, as authenticated bits in random shares.
///
/// Protocol   boolean-engine.md §4.2 (chosen bits; §4.3 and an echo hold them equal towards all),
///            local sum, §3.5 re-mask
/// In         gives [n]: who gives `count` bits, equal at all; `own` [count/8 up]: this party's,
///            LSB first, read only if it gives
/// Guarantee  the sum is of what each gave, or abort; what is opened is masked by aBit(all)
/// Cost       a bit for every giver and one more; a broadcast a giver, one opening
/// Aborts     kMac, kEcho; what making bits throws
AuthBits joint_input(net::Party& party, Source& source, const std::vector<bool>& gives,
                     ByteView own, size_t count, std::string_view label);

}  // namespace flexroom::prep
