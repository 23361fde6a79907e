#include "cli/command_line.h"

namespace flexroom::cli {

/// Of new and join.
void CommandLine::add_member_options(CLI::App* command, std::string& name, std::string& address,
                                     std::filesystem::path& folder, std::string& passphrase) {
  command->add_option("--as", name, "name of this member");
  command->add_option("--address", address, "HOST:PORT the others reach this member at");
  command->add_option("--dir", folder, "this member's folder (default: here)");
  command->add_option("--state-passphrase", passphrase, "as of `flexroom init --identity`");
}

void CommandLine::add_room_change(CLI::App& room) {
  CLI::App* const change = add(
      room, "change",
      "change members, keys, names, addresses or the courier; the same at all members of before "
      "and of then, and again where it was interrupted",
      [this] {
        change_.file = file_;
        return room_change(*out_, common_, change_);
      },
      "  flexroom room change room-then.toml\n"
      "  flexroom room change --address hospital-b=10.0.0.9:7100\n"
      "  flexroom room change                  # goes on with one that was interrupted");
  change->add_option("FILE", file_,
                     "the room as it is to be, in the form of room.toml and beside it");
  change->add_option("--add", change_.add, "NAME=HOST:PORT,CERTIFICATE of one who joins");
  change->add_option("--remove", change_.remove, "NAME of one who leaves");
  change->add_option("--rename", change_.rename, "OLD=NEW");
  change->add_option("--address", change_.address, "NAME=HOST:PORT");
  change->add_option("--certificate", change_.certificate,
                     "NAME=SHA256 of a member's new key and certificate");
  change->add_option("--courier", change_.courier, "NAME");
  change->add_flag("--go-on", change_.go_on,
                   "at all who stay or join: do not wait for who leaves to sign it off");
  change
      ->add_flag("--back", change_.back,
                 "at all members of before: take back what is not decided yet")
      ->excludes("--go-on");
}

void CommandLine::add_onboarding() {
  CLI::App* const room =
      add(app_, "room", "found a room, invite, join, change who is in it", nullptr,
          "  flexroom room new breast-study    # the founder; asks for what is not given\n"
          "  flexroom room invite\n"
          "  flexroom room join breast-study.invitation.toml\n"
          "  flexroom room change room-then.toml   # at all members, of before and of then\nAll "
          "steps: docs/onboarding.md.");
  add_room_change(*room);
  CLI::App* const begin = add(
      *room, "new", "the founder: keys, member.toml and a draft of the room",
      [this] { return room_new(*out_, new_room_); },
      "  flexroom room new breast-study --as hospital-a --address a.example:7100 --members 3 "
      "--provider aws --opens hospital-a --root hospital-a");
  begin->add_option("NAME", new_room_.room, "of the room")->required();
  add_member_options(begin, new_room_.member, new_room_.address, new_room_.folder,
                     new_room_.state_passphrase);
  begin->add_option("--members", new_room_.members, "how many the room will have, 2 to 16");
  begin->add_option("--provider", new_room_.provider, "the first entry: aws or sandbox");
  begin->add_option("--ca-file", new_room_.ca_file, "of the sandbox (default: ca.pem)");
  begin->add_option("--connect-to", new_room_.connect_to,
                    "of the sandbox (default: *:443=127.0.0.1:8443)");
  begin->add_option("--opens", new_room_.account_opener, "who opens the account at the provider");
  begin->add_option("--root", new_room_.account_root, "who holds its root");

  add(*room, "invite", "the founder: the file that the others join with; no secret is in it",
      [this] { return room_invite(*out_, common_, lasts_.empty() ? "14d" : lasts_); })
      ->add_option("--lasts", lasts_, "how long it stands: 14d (default), 12h");
  CLI::App* const join = add(
      *room, "join", "the others: keys, member.toml and a reply to an invitation",
      [this] { return room_join(*out_, common_, join_room_); },
      "  flexroom room join breast-study.invitation.toml --as hospital-b --address "
      "b.example:7100");
  join->add_option("INVITATION", join_room_.invitation, "as the founder sent it")->required();
  add_member_options(join, join_room_.member, join_room_.address, join_room_.folder,
                     join_room_.state_passphrase);
  add(*room, "add", "the founder: take a member's reply into the draft",
      [this] { return room_add(*out_, common_, file_); })
      ->add_option("REPLY", file_, "as the member sent it")
      ->required();
  add(*room, "seal", "the founder, when all are in: room.toml for all",
      [this] { return room_seal(*out_, common_); });
  add(*room, "finish", "the others: take the founder's room.toml, held against the invitation",
      [this] { return room_finish(*out_, common_, file_); })
      ->add_option("FILE", file_, "room.toml as the founder sent it")
      ->required();
  add(*room, "words", "this member's four words, and whose are still to be compared", [this] {
    return room_words(*out_, common_, words_);
  })->add_option("--words", words_, "NAME=\"FOUR WORDS\" as you heard them by telephone");
}

void CommandLine::add_links() {
  CLI::App* const links =
      add(app_, "links", "private links to a member's own data and result", nullptr,
          "  flexroom links make --region eu-central-1 --bucket a-data --data half.csv --result "
          "result.json");
  CLI::App* const make = add(
      *links, "make",
      "sign links with this member's own key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
      "AWS_SESSION_TOKEN of the environment, never an argument",
      [this] { return links_make(*out_, make_links_, lasts_.empty() ? "12h" : lasts_); },
      "  flexroom links make --region eu-central-1 --bucket a-data --data half.csv --result "
      "result.json\nThe store: AWS, or another like it at --endpoint. links.toml: docs/files.md.");
  make->add_option("--region", make_links_.region, "of the bucket")->required();
  make->add_option("--bucket", make_links_.bucket, "of this member")->required();
  make->add_option("--data", make_links_.data_key, "the object that the machine reads")->required();
  make->add_option("--result", make_links_.result_key, "the object that it writes")->required();
  make->add_option("--loader", make_links_.loader_key, "an object for the loader (optional)");
  make->add_flag("--public-loader", make_links_.public_loader,
                 "everybody may read that object: its link is short");
  make->add_option("--endpoint", make_links_.endpoint,
                   "https://HOST of the store (default: that of AWS in the region)");
  make->add_flag("--path-style", make_links_.path_style, "https://HOST/BUCKET/OBJECT");
  make->add_option("--lasts", lasts_, "30min, 12h (default), at most 7d");
  make->add_option("--out", make_links_.file, "the file to make (default: links.toml)");
}

void CommandLine::add_split(CLI::App& secret) {
  CLI::App* const split = add(
      secret, "split", "an issuer: cut a value into shares with commitments, a file a member",
      [this] { return secret_split(*out_, split_, split_room_, split_descriptor_); },
      "  vault read ... | flexroom secret split --name joint-key --class b64 --room room.toml "
      "--provider aws --purpose \"sigv4 ec2 us-east-1\" --entropy 238 --dir shares\nThe value "
      "comes "
      "on standard input or a descriptor, never as an argument.");
  split->add_option("--name", split_.name, "what the secret is called in the room")->required();
  split->add_option("--class", split_.value_class, "what its bytes may be (docs/secrets.md)")
      ->required();
  split->add_option("--room", split_room_, "room.toml: its members, in its order");
  split->add_option("--for", split_.members, "in its place: each member's name, in that order");
  split->add_option("--kind", split_.kind, "for people (default: secret)");
  split->add_option("--provider", split_.provider, "whose hosts may get it");
  split->add_option("--purpose", split_.purposes, "what it may be used for; once for each");
  split->add_option("--entropy", split_.entropy, "bits that somebody would have to guess");
  split->add_option("--replaces", split_.replaces, "the version whose place it takes");
  split->add_option("--from-fd", split_descriptor_, "read the value there (default: 0)");
  split->add_option("--dir", split_.folder, "where the files are made")->required();
}

}  // namespace flexroom::cli
