// What saves people typing. Every page works without it.
"use strict";

document.documentElement.classList.add("js");

// Copy buttons, which also say it to those who do not see it.
const copied = Object.assign(document.createElement("p"), { className: "unseen", role: "status" });
document.body.append(copied);
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  const was = (button.dataset.was ??= button.textContent);
  button.textContent = copied.textContent = "Copied";
  setTimeout(() => { button.textContent = was; copied.textContent = ""; }, 1500);
});

// The blade of a credential: the subject is made while its parts are typed, and
// with every pause the server says what it thinks of the fields. The server
// makes and judges everything again when the form is sent.
for (const form of document.querySelectorAll("form[data-live]")) {
  const at = (name) => form.elements.namedItem(name);
  const said = (name) => (at(name)?.value ?? "").trim();
  const shown = (element) => element.offsetParent !== null;
  let turn = 0, timer, stop;

  // The parts of the subject, as the section that is shown names them; @ stands
  // before what may be missing.
  function makeSubject() {
    const subject = at("subject"), section = [...form.querySelectorAll("[data-subject]")].find(shown);
    if (!section || at("edit-subject").checked) return;
    let whole = true;
    const made = section.dataset.subject.replace(/\{(@?)([a-z-]+)\}/g, (_, sign, name) => {
      const part = name === "environment" ? said(name).replaceAll(":", "%3A") : said(name);
      whole &&= part !== "" || sign !== "";
      return part && sign + part;
    });
    subject.value = whole ? made : "";
    subject.placeholder = section.dataset.subject.replace(/\{@[a-z-]+\}/g, "").replaceAll("{", "<").replaceAll("}", ">");
  }

  function lock() {
    at("subject").readOnly = !at("edit-subject").checked;
    at("audience").readOnly = !at("edit-audience").checked;
    if (at("audience").readOnly) at("audience").value = "api://AzureADTokenExchange";
  }

  async function check(ask) {
    clearTimeout(timer);
    const mine = ++turn, body = new URLSearchParams(new FormData(form));
    stop?.abort();
    stop = new AbortController();
    if (ask) body.set("ask", "yes");
    let answer;
    try {
      const response = await fetch(form.dataset.live, { method: "POST", body, signal: stop.signal });
      if (!response.ok) return;
      answer = document.createElement("template");
      answer.innerHTML = await response.text();
    } catch {
      return;
    }
    if (mine !== turn) return;
    const find = (selector) => answer.content.querySelector(selector);
    for (const made of answer.content.querySelectorAll("[data-made]")) {
      const field = at(made.dataset.made);
      if (field !== document.activeElement) field.value = made.value;
    }
    for (const place of form.querySelectorAll("[data-found]")) {
      const news = find(`[data-for="${place.dataset.found}"]`)?.innerHTML ?? "";
      if (place.innerHTML !== news) place.innerHTML = news;
    }
    for (const name of ["namespace", "account"]) offer(at(name), find(`[data-options="${name}"]`));
    form.querySelector("[data-status]").textContent = find("[data-says]").textContent;
    if (find("[data-pending]")) timer = setTimeout(() => check(true), ask ? 5000 : 0);
  }

  // What a registered cluster has reported, to choose from.
  function offer(input, options) {
    let list = input.list;
    if (!list) {
      list = document.createElement("datalist");
      list.id = input.name + "-options";
      input.after(list);
      input.setAttribute("list", list.id);
    }
    list.innerHTML = options?.innerHTML ?? "";
  }

  function later(pause) {
    turn++;
    clearTimeout(timer);
    timer = setTimeout(() => check(false), pause);
  }

  form.addEventListener("input", (event) => {
    if (event.target.name === "cluster") at("cluster-issuer").value = "";
    if (event.target.name === "cluster-issuer" && at("cluster")) at("cluster").value = "";
    lock();
    makeSubject();
    later(event.target.tagName === "SELECT" || event.target.type === "checkbox" ? 0 : 400);
  });

  // A mend is a button; here it fills its field without another page.
  form.addEventListener("click", (event) => {
    const button = event.target.closest('button[name="fix"]');
    if (!button) return;
    event.preventDefault();
    const cut = button.value.indexOf("="), field = at(button.value.slice(0, cut));
    field.value = button.value.slice(cut + 1);
    field.focus();
    makeSubject();
    later(0);
  });

  for (const place of form.querySelectorAll("[data-found]")) {
    const field = at(place.dataset.found);
    field?.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), place.id].join(" ").trim());
  }
  lock();
  makeSubject();
  if (form.querySelector("#cluster-issuer")?.value || said("issuer") || at("scenario").value !== "kubernetes") later(0);
}
