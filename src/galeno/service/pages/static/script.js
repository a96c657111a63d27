// Galeno's one script. Every page works without it; it adds hints while typing, search, partial updates,
// a question before what cannot be taken back, and a warning before the session ends.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
  const csrf = () => document.querySelector('meta[name="csrf"]')?.content ?? "";

  /* Numbers: what is not one or not possible is said below the field at once; the server has the last word. */

  const NUMBER = /^[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?$/;
  const judge = (input) => {
    const text = input.value.trim().replace("\u2212", "-");
    const say = input.form.dataset;
    if (!text) return ["", ""];
    if (!NUMBER.test(text)) return [say.sayNumber, ""];
    const option = document.querySelector(`select[data-unit="${input.id}"]`)?.selectedOptions[0];
    const scale = Number(option?.dataset.scale ?? 1);
    const value = Number(text.replace(",", ".")) * scale + Number(option?.dataset.offset ?? 0);
    const slack = scale === 1 ? 0 : 1e-6 * Math.max(1, Math.abs(value));
    const { low, high, usualLow, usualHigh } = input.dataset;
    if (value < Number(low ?? -Infinity) - slack || value > Number(high ?? Infinity) + slack) return [say.sayRange, ""];
    const unusual = value < Number(usualLow ?? -Infinity) - slack || value > Number(usualHigh ?? Infinity) + slack;
    return unusual ? [say.sayUsual, "unusual"] : ["", ""];
  };
  const tell = (input, calm) => {
    const [text, kind] = judge(input);
    if (calm && text && !kind) return; // not while somebody is in the middle of a number
    const field = input.closest(".field");
    let line = field.querySelector(".say");
    if (!line) {
      line = document.createElement("p");
      line.setAttribute("role", "status");
      line.id = `${input.id}-say`;
      input.setAttribute("aria-describedby", `${input.getAttribute("aria-describedby") ?? ""} ${line.id}`.trim());
      field.append(line);
    }
    line.className = `say ${kind}`;
    line.textContent = text;
    line.hidden = !text;
    field.querySelector(".error")?.remove();
    if (text && !kind) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };

  /* How much of each section is filled in. */

  const filled = (group) => {
    const names = new Set(all("[name^='v.']", group).map((each) => each.name));
    const done = [...names].filter((name) =>
      all(`[name="${CSS.escape(name)}"]`, group).some((each) => (each.type === "radio" ? each.checked : true) && each.value.trim()));
    return `${done.length}/${names.size}`;
  };
  const count = (form) => {
    for (const place of all("[data-filled]", form)) {
      place.textContent = filled(document.getElementById(place.dataset.filled));
      place.title = form.dataset.sayFilled;
    }
  };

  /* Lists of yes and no: search, Enter says yes to the first one found. */

  const choose = (flag, value) => {
    const radio = flag.querySelector(`input[value="${value}"]`);
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const picker = (box) => {
    const flags = all(".flag", box);
    const search = box.querySelector("[data-search]");
    const found = box.querySelector("[data-found]");
    if (search) {
      search.closest(".picker-search").hidden = false;
      const look = () => {
        const wish = plain(search.value);
        const hits = flags.filter((flag) => {
          flag.hidden = !plain(flag.dataset.flag).includes(wish);
          flag.classList.remove("next");
          return !flag.hidden;
        });
        if (wish && hits.length) hits[0].classList.add("next");
        found.textContent = wish && !hits.length ? box.closest("form").dataset.sayNone : "";
        return hits;
      };
      search.addEventListener("input", look);
      search.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        event.preventDefault();
        if (event.key === "Enter" && search.value.trim()) {
          const hit = look()[0];
          if (!hit) return;
          choose(hit, "yes");
        }
        search.value = "";
        look();
      });
    }
    const rest = box.querySelector("[data-rest]");
    rest?.addEventListener("change", () => {
      for (const flag of flags) {
        const open = flag.querySelector('input[value=""]');
        if (rest.checked && open.checked) {
          flag.dataset.assumed = "";
          choose(flag, "no");
        } else if (!rest.checked && "assumed" in flag.dataset) {
          delete flag.dataset.assumed;
          choose(flag, "");
        }
      }
    });
    box.addEventListener("change", (event) => {
      if (event.isTrusted) delete event.target.closest(".flag")?.dataset.assumed;
    });
  };

  const findings = (form) => {
    for (const input of all("[data-number]", form)) {
      input.addEventListener("input", () => tell(input, true));
      input.addEventListener("change", () => tell(input, false));
      if (input.value && !input.closest(".field").querySelector(".error")) tell(input, false);
    }
    for (const select of all("select[data-unit]", form)) {
      const input = document.getElementById(select.dataset.unit);
      select.addEventListener("change", () => tell(input, false));
    }
    all("[data-picker]", form).forEach(picker);
    form.addEventListener("input", () => count(form));
    form.addEventListener("change", () => count(form));
    count(form);
    // Enter in a number goes to the next field, as people expect who type columns of figures.
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches("input[data-number]")) return;
      event.preventDefault();
      const inputs = all("input[data-number], textarea", form);
      inputs[inputs.indexOf(event.target) + 1]?.focus();
    });
    let dirty = false;
    form.addEventListener("input", () => { dirty = true; });
    form.addEventListener("submit", () => { dirty = false; });
    addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
  };

  /* Partial updates: a form or pager marked data-partial replaces every [data-part] by the server's new one. */

  const bring = async (address) => {
    const parts = all("[data-part]");
    parts.forEach((part) => part.setAttribute("aria-busy", "true"));
    try {
      const response = await fetch(address, { credentials: "same-origin" });
      if (!response.ok || response.redirected) throw new Error("page");
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const part of parts) {
        const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
        if (!fresh) throw new Error("part");
        part.replaceWith(document.importNode(fresh, true));
      }
      history.replaceState(null, "", address);
    } catch {
      location.assign(address);
    }
  };
  const query = (form) => {
    const values = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...values]) if (!value) values.delete(name);
    return `${form.getAttribute("action") || location.pathname}?${values}`;
  };
  const partial = (form) => {
    form.addEventListener("change", () => bring(query(form)));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      bring(query(form));
    });
  };

  /* What is sent once, and what is asked before it is sent. */

  const TWICE = 2000; // ms
  const free = (form) => {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    all(".sending").forEach((line) => line.remove());
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const asked = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (asked && !confirm(asked)) {
      event.preventDefault();
      return;
    }
    if (!("once" in form.dataset)) return;
    if (!("sent" in form.dataset)) {
      form.dataset.sent = event.timeStamp;
      form.setAttribute("aria-busy", "true");
      return;
    }
    event.preventDefault();
    if (event.timeStamp - form.dataset.sent < TWICE) return; // a double click
    // No event tells that somebody stopped the browser: who says so by pressing once more is let through.
    free(form);
    const line = document.createElement("p");
    line.className = "small sending";
    line.setAttribute("role", "status");
    (event.submitter ?? form).after(line);
    line.textContent = document.body.dataset.saySending;
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach(free));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-part] .pager a, a[data-partial]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      bring(link.href);
    }
    if (event.target.closest("[data-print]")) print();
  });

  /* Time that the page was looked at, and the session that ends without a request. */

  const idle = Number(document.body.dataset.idle) * 60_000;
  let seconds = 0;
  let active = Date.now(); // last movement of a hand
  let asked = Date.now(); // last request
  const send = (how) => {
    const body = new URLSearchParams({ csrf: csrf(), page: location.pathname, seconds: String(Math.round(seconds)) });
    seconds = 0;
    asked = Date.now();
    return how(body);
  };
  const beacon = () => { if (csrf() && seconds >= 1) send((body) => navigator.sendBeacon("/time", body)); };
  const keep = () => send((body) => fetch("/time", { method: "POST", body, credentials: "same-origin" }).then((r) => r.ok && !r.redirected, () => false));
  for (const kind of ["keydown", "pointerdown", "pointermove", "scroll"]) {
    addEventListener(kind, () => { active = Date.now(); }, { passive: true, capture: true });
  }
  addEventListener("pagehide", beacon);
  document.addEventListener("visibilitychange", () => { if (document.hidden) beacon(); });
  const note = document.querySelector("[data-idle-note]");
  const watch = () => {
    const now = Date.now();
    if (!document.hidden && now - active < 60_000) seconds += 1;
    if (!idle) return;
    const left = idle - (now - asked);
    const away = document.body.classList.contains("away");
    if (away) return;
    if (now - active < 15_000 && now - asked > Math.min(120_000, idle / 4)) keep();
    else if (left <= 0 && !note) location.reload(); // leads to the sign-in
    else if (left <= 0) {
      document.body.classList.add("away");
      note.querySelector("[data-soon]").hidden = true;
      note.querySelector("[data-over]").hidden = false;
      note.hidden = false;
    } else if (note) note.hidden = left > Math.min(60_000, idle / 3);
  };
  if (csrf()) setInterval(watch, 1000);
  // After a new sign-in the page is shown again to the same person, with the new session's token.
  const who = (page) => page.querySelector(".who")?.textContent ?? "";
  const returned = async () => {
    const response = await fetch("/", { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector('meta[name="csrf"]')?.content;
    if (!response.ok || !fresh || !who(page)) return false;
    if (who(page) !== who(document)) location.replace("/");
    document.querySelector('meta[name="csrf"]').content = fresh;
    for (const field of all('input[name="csrf"]')) field.value = fresh;
    asked = Date.now();
    return true;
  };
  note?.addEventListener("click", async (event) => {
    if (!event.target.closest("button")) return;
    active = Date.now();
    const over = !(await (document.body.classList.contains("away") ? returned() : keep()).catch(() => false));
    document.body.classList.toggle("away", over);
    note.querySelector("[data-soon]").hidden = over;
    note.querySelector("[data-over]").hidden = !over;
    note.hidden = !over;
  });

  all("form[data-findings]").forEach(findings);
  all("form[data-partial]").forEach(partial);
  all("[data-print]").forEach((button) => { button.hidden = false; });
  document.querySelector(".banner.summary")?.focus();
})();
