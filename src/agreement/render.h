#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agreement/proposal.h"

namespace flexroom::agreement {

/// The one text of a proposal: a function of its canonical bytes alone, for the operator before
/// approving and for whoever reads the log years later (members.md 6.1, M36). Every foreign
/// character went through display_text(); ends with the digest of the bytes. The form of the text
/// is numbered in the bytes: an old proposal is shown as it was. Throws InputError at `place`.
std::string render(ByteView canonical, std::string_view place);
inline std::string render(const Proposal& proposal) {
  return render(proposal.canonical(), "proposal");
}

/// One value as render() shows it; lines of a block are separated by '\n'. "(private)" for a
/// private one.
std::string value_text(const Proposal::Field& field);

/// Where two members' proposals differ: up to eight fields by name, with both values; of long ones
/// the first differing place and what stands around it. Empty if they are the same.
std::string differences(const Proposal& here, const Proposal& there);

/// What changed since `before`, an earlier proposal: fields that are new, gone or other, long ones
/// line by line with `context` lines around. Empty if nothing did.
std::string diff(const Proposal& before, const Proposal& now, size_t context = 3);

/// One line of a diff of lines: ' ' in both, '-' only before, '+' only now.
struct DiffLine {
  char mark = ' ';
  size_t before = 0, now = 0;  // line numbers from 1; 0: none
  std::string text;
};
/// Shortest, unless more than a few thousand lines differ.
std::vector<DiffLine> diff_lines(const std::vector<std::string>& before,
                                 const std::vector<std::string>& now);

}  // namespace flexroom::agreement
