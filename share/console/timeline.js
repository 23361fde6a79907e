// A run's phases as a picture; the table beside it says the same in words.
import { svg, duration, bytes } from "./dom.js";

const ROW = 34, TOP = 26, MOST = 60;

function step(total) {
  const raw = total / 5;
  const ten = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((k) => k * ten).find((value) => value >= raw);
}

export function timeline(phases, width, title) {
  const rows = phases.slice(0, MOST);
  const total = Math.max(0.001, ...rows.map((p) => p.start_seconds + p.seconds));
  const height = TOP + rows.length * ROW + 6;
  const x = (seconds) => 4 + (seconds / total) * (width - 8);
  const out = svg("svg", { class: "timeline", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
    `${title}: ${rows.length} phases in ${duration(total)}; the table below has the figures` });
  const each = step(total);
  for (let at = 0; at <= total; at += each) {
    out.append(svg("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP - 6, y2: height }));
    const last = x(at) > width - 50;
    out.append(svg("text", { class: "quiet", x: last ? x(at) - 3 : x(at), y: 14, "text-anchor": at === 0 ? "start" : last ? "end" : "middle" }, duration(at)));
  }
  rows.forEach((phase, k) => {
    const y = TOP + k * ROW;
    out.append(svg("text", { x: 4, y: y + 11 }, phase.name),
      svg("text", { class: "quiet", x: width - 4, y: y + 11, "text-anchor": "end" }, `${duration(phase.seconds)}, ${bytes(phase.bytes_sent)}`),
      svg("rect", { class: "track", x: 4, y: y + 17, width: width - 8, height: 9, rx: 3 }),
      svg("rect", { class: "bar", x: x(phase.start_seconds), y: y + 17, width: Math.max(2, (phase.seconds / total) * (width - 8)), height: 9, rx: 3 }));
  });
  return out;
}
