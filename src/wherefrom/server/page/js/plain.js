// Names as people may read them: the rule of the command line (printing.py), and bytes that are no UTF-8.

// Controls, line and paragraph separators, what turns the direction of writing or is not seen, and halves of
// pairs. Joiners stay: emoji and Persian need them.
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e001f}]/gu;

/** @type {Record<string, string>} */
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A name on one line, with marks such as `\n`, `\x1b`, `\u202e` for what would be obeyed or hidden. @param {string} text */
export const plain = (text) => text.replace(UNSAFE, mark);

/** @param {string} character */
function mark(character) {
  const code = /** @type {number} */ (character.codePointAt(0));
  if (SHORT[character]) return SHORT[character];
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hex(code - 0xdc00, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/** @param {number} code @param {number} digits */
const hex = (code, digits) => code.toString(16).padStart(digits, "0");

/**
 * What percent signs stand for. A byte that is no UTF-8 becomes half of a pair (U+DC80 to U+DCFF), which `plain`
 * shows as `\xff`.
 * @param {string} text
 */
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => fromBytes(run.slice(1).split("%").map((byte) => parseInt(byte, 16))));
  }
}

/** @param {number[]} bytes */
function fromBytes(bytes) {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at];
    const long = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    try {
      text += strict.decode(new Uint8Array(bytes.slice(at, at + long)));
      at += long;
    } catch {
      text += String.fromCharCode(0xdc00 + first);
      at += 1;
    }
  }
  return text;
}
