// Small pieces of the page.

export const byId = (name) => document.getElementById(name);
export const count = (n) => n.toLocaleString("en");
export const percent = (share) => `${Math.round(100 * share)} %`;
export const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));

/** An element; children that are null are left out. */
export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((each) => each !== null));
  return element;
}

/** The neighbours of an item, cut from the strip of their pictures, with their labels where these are not hidden. */
export function showNeighbors(section, item, strip, open) {
  section.hidden = !item.neighbors;
  const side = strip?.height ?? 144;
  section.querySelector("ul").replaceChildren(...Array.from({ length: item.neighbors }, (_, i) => {
    const canvas = make("canvas", { width: side, height: side });
    if (strip) canvas.getContext("2d").drawImage(strip, i * side, 0, side, side, 0, 0, side, side);
    const label = item.labels ? item.labels[i] ?? "no label" : null;
    const copy = i < item.copies;
    const name = `${copy ? "near-duplicate" : "similar scan"} ${i + 1}${label === null ? "" : `, labelled ${label}`}: show it large`;
    const button = make("button", { type: "button", "aria-label": name, "aria-pressed": "false" }, canvas);
    button.addEventListener("click", () => open(i));
    const kind = label === null ? "" : label === item.label ? "given" : label === item.suggested ? "suggested" : "";
    return make("li", {}, button, copy ? make("span", { class: "chip same" }, "near-duplicate") : null, label === null ? null : make("span", { class: `chip ${kind}`, title: label }, make("bdi", {}, label)));
  }));
}

export function keyHelp(list, nClasses, classKeys) {
  const last = classKeys[Math.min(nClasses, classKeys.length) - 1];
  const rows = [
    [["1", ...(nClasses > 1 ? [last] : [])], "a class, as its button says"], [["u"], "unsure: counts as read, changes no label"],
    [["s"], "skip: comes again at the end, or goes to another reader"], [["z"], "take the last answer back; again for the one before"],
    [["p"], "the last answer for the near-duplicates of that scan, too"],
    [["n"], "look at the similar scans one after another, Esc leads back"], [["+", "-"], "zoom, like the wheel or two fingers"],
    [["←", "↑", "↓", "→"], "move, like dragging"], [["0"], "as at first"],
    [["w"], "dragging changes the contrast; so do the right button, or Shift with the arrows"],
    [["x"], "invert"], [["i"], "show the single pixels in place of smoothing them"],
  ];
  list.replaceChildren(...rows.flatMap(([keys, says]) => [
    make("dt", {}, ...keys.flatMap((key, i) => [i ? " … " : "", make("kbd", {}, key)])), make("dd", {}, says),
  ]));
}
