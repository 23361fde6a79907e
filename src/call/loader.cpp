#include "call/loader.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"

namespace flexroom {
namespace {

/// What does not depend on the terms. Read by bash (`. ./b KEYS`), which it never goes back to.
constexpr std::string_view kProgram = R"bash(
rm b
cd "$(mktemp -d)"
keys=$1 end=$((60 * minutes - reserve)) failed= why= text= ran= D=() R=()
set --
class='^[A-Za-z0-9._~/=&%+:-]*$'

# unseal KEY HEX: the private parts of a member's links, into $text.
unseal() {
  local i pad byte
  text=
  for ((i = 0; i < ${#2}; i += 2)); do
    ((i % 64)) || pad=$(printf %s "$1.$((i / 64))" | sha256sum)
    printf -v byte '\\x%02x' $((16#${2:i:2} ^ 16#${pad:i % 64:2}))
    text+=$byte
  done
  printf -v text %b "$text"
}

# member SEALED, then of data and result: HOST PATH-BYTES QUERY TAIL-BYTES
member() {
  local LC_ALL=C m=${#D[@]} data=$(($3 + $5))
  unseal "${keys:22*m:22}" "$1"
  if [[ ! $text =~ $class || ${#text} != $((data + $7 + $9)) ]]; then
    failed=${failed:-"links of ${names[m]}: not what the member was to seal"} text=
  fi
  D+=("$2${text:0:$3}$4${text:$3:$5}")
  R+=("$6${text:data:$7}$8${text:data + $7:$9}")
  [[ $text ]] || R[m]=
}

left() { echo $(($1 > SECONDS ? $1 - SECONDS : 1)); }

# explain EXIT STATUS ANSWER: why a transfer failed, into $why.
explain() {
  case $1 in
    0) why=$2 ;;
    6) why='no such host' ;;
    7) why='no connection' ;;
    18) why='the answer ended early' ;;
    28) why='too slow' ;;
    35 | 51 | 58 | 60 | 77) why="no trusted TLS (curl $1)" ;;
    *) why="curl ended with $1" ;;
  esac
  [[ $(head -c 4096 "$3" 2>/dev/null | tr -d '\0') =~ \<Code\>([A-Za-z]{1,40})\</Code\> ]] &&
    why+=" ${BASH_REMATCH[1]}"
}

# transfer LIMIT STATUSES ARGUMENTS..: one request of curl; any other status is a failure.
transfer() {
  local limit=$1 good=$2 status code
  shift 2
  rm -f answer
  status=$(curl -qgsS --path-as-is --proto =https --connect-timeout 20 --retry 3 \
    --retry-max-time "$(left "$limit")" -m "$(left "$limit")" -o answer -w '%{http_code}' "$@" \
    2>/dev/null)
  code=$?
  [[ $code == 0 && $status =~ ^($good)$ ]] && return
  explain $code "$status" answer
  return 1
}
get() { transfer $end 200 "$2" && mv answer "$1"; }
put() { transfer $((60 * minutes - 5)) '200|201|204' -H Expect: -T "$1" "$2"; }

# The ending of the object that a link names, so that programs that go by it read the file.
ending() {
  local name=${1%%\?*}
  name=${name##*/}
  [[ $name =~ (\.[A-Za-z0-9]{1,8}){1,2}$ ]] && echo "${BASH_REMATCH[0]}"
}

run() {
  local m file code files=()
  [[ $failed ]] && return 1
  get "$program" "$url" || { failed="script: $why"; return 1; }
  sha256sum -c --status <<<"$sha256  $program" ||
    { failed='script: not the one of the agreed SHA-256'; return 1; }
  for m in "${!names[@]}"; do
    file=d$((m + 1))$(ending "${D[m]}")
    get "$file" "${D[m]}" || { failed="data of ${names[m]}: $why"; return 1; }
    files+=("$file")
  done
  ran=1
  timeout -k 5 "$(left $end)" "${interpreter[@]}" "$program" "${arguments[@]}" "${files[@]}" \
    </dev/null >log 2>&1
  code=$?
  if ((SECONDS >= end)) && [[ $code == 124 || $code == 137 ]]; then
    failed="script: stopped at the deadline of $minutes minutes"
  elif ((code)); then
    failed="script: exit status $code"
    ((code == 126 || code == 127)) && failed+=' (the interpreter cannot be run)'
    ((code > 128)) && failed+=" (SIG$(kill -l $((code - 128)) 2>/dev/null))"
    [[ $(head -n 1 "$program" | tr -d '\0') == *$'\r' ]] && failed+='; its lines end in CR LF'
  else
    for m in "${!names[@]}"; do
      [[ -f result-$((m + 1)) ]] || failed=${failed:-"script: wrote no result-$((m + 1))"}
    done
  fi
  [[ ! $failed ]]
}

# Whoever waits sees that the loader is here, and that this link can be written.
for m in "${!names[@]}"; do
  [[ ${R[m]} ]] || continue
  (
    cd "$(mktemp -d)" && echo FLEXROOM-BEGUN >begun &&
      transfer $((SECONDS + 30)) '200|201|204' -H Expect: -T begun "${R[m]}"
  ) &
done

if run; then
  echo 'flexroom: the script ended well'
else
  echo "flexroom: $failed"
  { printf '%s\n' FLEXROOM-FAILED "$failed"
    [[ $show_output && $ran ]] && printf '\n' && tail -c 2000 log
  } >report
fi
wait # no mark comes behind a result
for m in "${!names[@]}"; do
  [[ ${R[m]} ]] || continue
  file=report
  [[ $failed ]] || file=result-$((m + 1))
  (
    mkdir "put-$m" && cd "put-$m" &&
      { put "../$file" "${R[m]}" || echo "flexroom: result of ${names[m]}: $why"; }
  ) &
done
wait
shutdown -h now
exit
)bash";

/// One word of bash, whatever it holds.
std::string shell_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out.push_back(c);
    }
  }
  return out + "'";
}

std::string word_list(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + shell_word(word);
  return "(" + out + ")";
}

std::string link_words(const PublicLink& link) {
  return fmt::format("{} {} {} {}", shell_word(link.public_prefix), link.path_bytes,
                     shell_word(link.public_query), link.tail_bytes);
}

/// The script keeps the ending of its file: some interpreters go by it.
std::string program_name(std::string_view url) {
  url = url.substr(0, url.find('?'));
  const std::string_view name = url.substr(url.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot > 9) return "s";
  const std::string_view ending = name.substr(dot + 1);
  const bool plain = !ending.empty() && std::all_of(ending.begin(), ending.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  return plain ? fmt::format("s.{}", ending) : "s";
}

}  // namespace

std::string loader_text(const JobConfig& job, const std::vector<PublicLinks>& links) {
  std::vector<std::string> names;
  std::string members;
  for (const PublicLinks& of : links) {
    check_public_links(of);  // here, where they become a program, not only where they arrive
    names.push_back(of.member);
    members +=
        fmt::format("member {} {} {}\n", of.sealed, link_words(of.data), link_words(of.result));
  }
  std::string out(kLoaderMark);
  // What is left for the results to be put away.
  const int reserve = job.deadline_minutes >= 5 ? 60 : 15;
  out += fmt::format("minutes={} reserve={} show_output={}\n", job.deadline_minutes, reserve,
                     job.failure_output_to_all ? "1" : "");
  out += fmt::format("url={} sha256={} program={}\n", shell_word(job.script_url),
                     shell_word(job.script_sha256), shell_word(program_name(job.script_url)));
  out += fmt::format("interpreter={} arguments={}\n", word_list(job.interpreter_words()),
                     word_list(job.arguments));
  out += fmt::format("names={}\n", word_list(names));
  // The functions stand before the members' lines, the work behind them.
  const size_t work = kProgram.find("\n# Whoever waits ");
  FLEXROOM_ASSERT(work != std::string_view::npos);
  out += kProgram.substr(0, work + 1);
  out += members;
  out += kProgram.substr(work + 1);
  return out;
}

}  // namespace flexroom
