#include "cli/command_line.h"
#include "cli/people_commands.h"

namespace flexroom::cli {

void CommandLine::add_people() {
  CLI::App* const people =
      add(app_, "people", "who speaks for this member: rule, keys, signatures (docs/people.md)",
          nullptr,
          "  flexroom people key ann.key          # each person, on a machine of her own\n"
          "  flexroom people init people.toml\n"
          "  flexroom run-script job.toml --sign-with ann.key --voices voices/");
  const auto takes_rule = [this](CLI::App* command) {
    command->add_option("FILE", file_, "people.toml")->required();
    command->add_flag("--i-have-one-key", one_key_,
                      "take a rule in which one lost key stops this member");
  };
  takes_rule(add(*people, "init", "the first rule, by whoever holds this member's keys",
                 [this] { return people_init(*out_, common_, file_, one_key_); }));
  add(*people, "show", "the rule that holds, with four words of each key to compare",
      [this] { return people_show(*out_, common_); });
  CLI::App* const key =
      add(*people, "key", "make a person's key file; prints what goes into people.toml",
          [this] { return people_key(*out_, file_, unsealed_ ? "" : new_passphrase_); });
  key->add_option("FILE", file_, "the new key file")->required();
  key->add_option("--new", new_passphrase_,
                  "where its passphrase comes from: prompt (default), file:PATH, fd:N or "
                  "credential:NAME");
  key->add_flag("--no-passphrase", unsealed_, "anybody who can read the file can sign");
  takes_rule(add(*people, "propose",
                 "another rule: requests to the administrators, into the folder of --voices",
                 [this] { return people_propose(*out_, common_, file_, one_key_); }));
  CLI::App* const sign = add(
      *people, "sign", "on a person's own machine: read a request, and sign it with --sign-with",
      [this] { return people_sign(*out_, common_, file_, signature_); });
  sign->add_option("REQUEST", file_, "the file that the member made")->required();
  sign->add_option("--out", signature_, "the signature (default: REQUEST with .signature)");
  add(*people, "apply", "the proposed rule, with its administrators' signatures",
      [this] { return people_apply(*out_, common_, signatures_); })
      ->add_option("SIGNATURE", signatures_, "files that `people sign` made")
      ->required();
  CLI::App* const reset = add(
      *people, "reset", "too few keys are left: another rule, by whoever holds this member's keys",
      [this] { return people_reset(*out_, common_, file_, one_key_); });
  takes_rule(reset);
  reset->add_flag("--i-know", common_.knows, "that all approvals of this member are void");

  CLI::App* const rules =
      add(app_, "rules", "what this member's node approves without asking (docs/node.md)", nullptr,
          "  flexroom rules show\n"
          "  flexroom rules propose rules.toml --voices change/\n"
          "  flexroom people apply change/ann.signature change/bob.signature");
  add(*rules, "show", "the standing rules that hold",
      [this] { return rules_show(*out_, common_); });
  add(*rules, "propose",
      "others: requests to the administrators, into the folder of --voices; an empty file: none",
      [this] { return rules_propose(*out_, common_, file_); })
      ->add_option("FILE", file_, "rules.toml")
      ->required();
}

}  // namespace flexroom::cli
