// What differs from run to run gets a value that does not: ids, hosts with
// their ports, times, key ids, the beginnings of secrets. Given: names, an array of pairs.
(names) => {
  const guid = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g;
  const thumbprint = /(?<![\w-])[\w-]{43}(?![\w-])/g;
  const secret = /(?<![\w~.-])[\w~.-]{3}8Q~[\w~.-]{20,}/g;
  const kept = /^(00000000-|e7a1c0de-)/;

  // The n-th text of its kind on a page becomes the n-th of a row that is always the same.
  const row = (letters) => {
    const seen = new Map();
    return (text) => {
      if (kept.test(text)) return text;
      if (!seen.has(text)) {
        let state = 2166136261 ^ (seen.size * 7919 + letters.length);
        seen.set(text, text.replace(/[0-9A-Za-z]/g, () => {
          state = Math.imul(state ^ (state >>> 13), 1540483477) + 12345 | 0;
          return letters[(state >>> 8) % letters.length];
        }));
      }
      return seen.get(text);
    };
  };
  const hex = row("0123456789abcdef"), base64 = row("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789");
  const steady = (text) => {
    for (const [from, to] of names) text = text.replaceAll(from, to);
    text = text.replace(/\b(just now|\d+ (second|minute)s? ago)/g, "4 minutes ago");
    text = text.replace(/\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(?= UTC)/g, (at) => Date.parse(at + "Z") > Date.now() ? "2026-12-10 09:00:00" : "2026-11-20 11:39:00");
    text = text.replace(/\bauto-([\w-]{20})/g, (_, id) => "auto-" + base64(id));
    text = text.replace(/("(?:iat|nbf|exp|xms_tcdt)": )1\d{9}/g, (_, name) => name + (name.includes("exp") ? 1795179600 : 1795176000)).replace(/("(?:aio|rh|uti)": ")([^"]+)/g, (_, name, value) => name + base64(value));
    return text.replace(guid, hex).replace(thumbprint, base64).replace(secret, base64);
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = texts.nextNode());) {
    const now = steady(node.nodeValue);
    if (now !== node.nodeValue) node.nodeValue = now;
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), textarea")) {
    const now = steady(field.value);
    if (now !== field.value) field.value = now;
  }
  for (const cell of document.querySelectorAll('td[data-label="Begins with"] code')) cell.textContent = base64(cell.textContent.slice(0, 3)) + "…";

  document.documentElement.style.caretColor = "transparent"; // it blinks

  // Times of the last hour, by what they are times of.
  const noon = Date.UTC(2026, 10, 20, 12), minute = 60e3, day = 1440 * minute;
  const use = [4, 26, 95, 240, 700, 1500, 3000, 4400], age = [41, 38, 33, 29, 27, 16, 12, 9, 6, 4, 3, 2];
  const count = {};
  const span = (ms) => {
    const [n, unit] = ms < 60 * minute ? [ms / minute, "minute"] : ms < day ? [ms / minute / 60, "hour"] : [ms / day, "day"];
    return `${Math.floor(n)} ${unit}${Math.floor(n) === 1 ? "" : "s"} ago`;
  };
  for (const time of document.querySelectorAll("time")) {
    const past = Date.now() - Date.parse(time.dateTime);
    if (past < -minute || past > 60 * minute) continue;
    const label = time.closest("td")?.dataset.label ?? time.closest("dd")?.previousElementSibling?.textContent ?? "";
    const session = time.closest("tr")?.querySelector("form");
    if (session && label === "Since") {
      time.textContent = "2 hours ago";
      continue;
    }
    const kind = /used|sign-in/i.test(label) ? "use" : /created|added|registered|made|since|signs from|keys/i.test(label) ? "age" : "log";
    const n = count[kind] = (count[kind] ?? -1) + 1;
    const ms = kind === "age" ? age[n % age.length] * day : kind === "use" ? use[n % use.length] * minute : (3 + 17 * n + n * n) * minute;
    time.textContent = /^\d{4}-/.test(time.textContent) ? new Date(noon - ms).toISOString().slice(0, 19).replace("T", " ") : span(ms);
  }
}
