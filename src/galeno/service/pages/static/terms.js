// The input of signs: lines of text become a list, with a search above it (ARIA combobox with a list).
// Without the script the lines stay as they are; the server reads the same lines either way.
"use strict";
(() => {
  const MARK = /^\s*[-\u2212\u2013!]\s*/;
  const ID = /^(HP:\d{7})(?!\w)[\s,]*(.*)$/i;
  const BETWEEN = /[;\n|]+|[,\s]+(?=[-\u2212\u2013!]?HP:\d)/i;
  const WAIT = 120;
  const make = (name, about = {}, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(about)) {
      if (key in made && typeof value !== "string") made[key] = value;
      else made.setAttribute(key === "className" ? "class" : key, value);
    }
    made.append(...inside);
    return made;
  };
  const parse = (text) => {
    const signs = [];
    for (const line of text.split("\n")) {
      for (const part of line.replace(MARK, "-").split(BETWEEN)) {
        const bare = part.replace(MARK, "").trim();
        if (!bare) continue;
        const [, id, label] = bare.match(ID) ?? [null, "", bare];
        signs.push({ id: id.toUpperCase(), label: label.trim(), present: !MARK.test(part) });
      }
    }
    return signs;
  };
  const key = (sign) => (sign.id || sign.label).toLowerCase();
  const called = (sign) => sign.label || sign.id;
  const write = (sign) => `${sign.present ? "" : "- "}${`${sign.id} ${sign.label}`.trim()}`;

  const picker = (box) => {
    const lines = box.querySelector("textarea");
    const find = box.querySelector("[role=combobox]");
    const list = box.querySelector("[role=listbox]");
    const chips = box.querySelector(".chips");
    const said = box.querySelector(".terms-said");
    const say = (text, name = "") => { said.textContent = text.replace("{}", () => name); };
    const { sayPresent, sayAbsent, sayDrop, sayFound, sayNone, sayAdded, sayRemoved } = box.dataset;
    let signs = [];
    let found = [];
    let at = -1;
    let turn = 0;
    let timer = 0;

    const keep = () => {
      lines.value = signs.map(write).join("\n");
      lines.dispatchEvent(new Event("input", { bubbles: true }));
    };
    const state = (sign, place, present, label) => make("label", {},
      make("input", { type: "radio", name: `${find.id}.${place}`, checked: sign.present === present, "data-state": present ? "yes" : "no" }),
      make("span", {}, label));
    const draw = () => {
      chips.replaceChildren(...signs.map((sign, place) => make("li", { className: sign.present ? "chip" : "chip absent", "data-place": String(place) },
        make("span", { className: "name" }, called(sign), ...(sign.id && sign.label ? [" ", make("span", { className: "code small muted" }, sign.id)] : [])),
        make("span", { className: "segments", role: "radiogroup", "aria-label": called(sign) }, state(sign, place, true, sayPresent), state(sign, place, false, sayAbsent)),
        make("button", { type: "button", className: "quiet small", "aria-label": sayDrop.replace("{}", () => called(sign)) }, "×"))));
      chips.hidden = !signs.length;
    };
    const add = (sign) => {
      signs = [...signs.filter((each) => key(each) !== key(sign)), sign];
      draw();
      keep();
      say(sayAdded, called(sign));
    };

    const close = () => {
      turn += 1;
      at = -1;
      list.hidden = true;
      list.replaceChildren();
      found = [];
      find.setAttribute("aria-expanded", "false");
      find.removeAttribute("aria-activedescendant");
    };
    const point = (place) => {
      at = found.length ? (place + found.length) % found.length : -1;
      [...list.children].forEach((option, each) => option.setAttribute("aria-selected", String(each === at)));
      if (at < 0) return find.removeAttribute("aria-activedescendant");
      find.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    };
    const choose = (place) => {
      const { id, label } = found[place];
      find.value = "";
      close();
      add({ id, label, present: true });
    };
    const offer = (terms) => {
      found = terms;
      list.replaceChildren(...terms.map((term, place) => make("li", { role: "option", id: `${list.id}-${place}`, "aria-selected": "false" },
        make("span", {}, term.label, ...(term.matched && term.matched.toLowerCase() !== term.label.toLowerCase() ? [make("span", { className: "muted" }, ` · ${term.matched}`)] : [])),
        make("span", { className: "code small muted" }, term.id))));
      list.hidden = !terms.length;
      find.setAttribute("aria-expanded", String(Boolean(terms.length)));
      point(terms.length ? 0 : -1);
    };
    const look = async () => {
      const wish = find.value.trim();
      const mine = ++turn;
      if (wish.length < 2) return close();
      try {
        const response = await fetch(`/terms?q=${encodeURIComponent(wish)}`, { credentials: "same-origin" });
        if (!response.ok || response.redirected) throw new Error("terms");
        const { terms, note } = await response.json();
        if (mine !== turn) return;
        offer(terms);
        say(note || (terms.length ? sayFound : sayNone), String(terms.length));
      } catch {
        if (mine === turn) close();
      }
    };

    find.addEventListener("input", (event) => {
      event.stopPropagation();
      clearTimeout(timer);
      timer = setTimeout(look, WAIT);
    });
    find.addEventListener("keydown", (event) => {
      const open = !list.hidden;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (open) point(at + (event.key === "ArrowDown" ? 1 : -1));
        else look();
      } else if (event.key === "Enter") {
        event.preventDefault(); // the form is sent by its button
        clearTimeout(timer);
        if (open && at >= 0) choose(at);
        else if (find.value.trim()) {
          parse(find.value).forEach(add);
          find.value = "";
          close();
        }
      } else if (event.key === "Escape" && open) {
        event.preventDefault();
        close();
      }
    });
    find.addEventListener("paste", (event) => {
      const pasted = event.clipboardData.getData("text");
      if (!/\n\s*\S/.test(pasted) && parse(pasted).length < 2) return;
      event.preventDefault();
      parse(pasted).forEach(add);
    });
    find.addEventListener("blur", () => setTimeout(close, 150));
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) choose([...list.children].indexOf(option));
    });
    chips.addEventListener("input", (event) => event.stopPropagation());
    chips.addEventListener("change", (event) => {
      event.stopPropagation();
      const row = event.target.closest(".chip");
      signs[row.dataset.place].present = event.target.dataset.state === "yes";
      row.classList.toggle("absent", event.target.dataset.state !== "yes");
      keep();
    });
    chips.addEventListener("click", (event) => {
      if (!event.target.closest("button")) return;
      const place = Number(event.target.closest(".chip").dataset.place);
      const [gone] = signs.splice(place, 1);
      draw();
      keep();
      say(sayRemoved, called(gone));
      (chips.querySelectorAll("button")[place] ?? find).focus();
    });
    // What was typed and not chosen counts too.
    lines.form?.addEventListener("submit", () => {
      if (find.value.trim()) parse(find.value).forEach(add);
      find.value = "";
    });
    const read = () => { signs = parse(lines.value); draw(); };

    // The search takes the place of the lines: label and links of faults lead to it.
    const { id } = lines;
    lines.id = `${id}-lines`;
    find.id = id;
    for (const name of ["aria-describedby", "aria-invalid"]) {
      if (lines.hasAttribute(name)) find.setAttribute(name, lines.getAttribute(name));
    }
    lines.hidden = true;
    box.querySelector(".terms-find").hidden = false;
    box.querySelector(".hint").hidden = true;
    read();
    addEventListener("pageshow", read); // browsers bring back what was typed
  };

  document.querySelectorAll("[data-terms]").forEach(picker);
  // A link to a disease opens it.
  const reveal = () => {
    const place = location.hash.startsWith("#d-") && document.getElementById(location.hash.slice(1));
    if (place) { place.open = true; place.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  addEventListener("click", (event) => { if (event.target.closest?.('a[href^="#d-"]')) setTimeout(reveal); });
  reveal();
})();
