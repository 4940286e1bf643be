// What script adds to pages that work without it: focus on the answer, "Show" for passwords, local clock times,
// and one submit a form. Nothing waits for it.

const answer = document.querySelector('[role="alert"][tabindex="-1"], [role="status"][tabindex="-1"]');
// After the browser has gone to the address's fragment, which would take the focus away again.
addEventListener("load", () => answer?.focus({ preventScroll: answer.role === "status" }));

for (const button of document.querySelectorAll("button.peek")) {
  const field = document.getElementById(button.getAttribute("aria-controls"));
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    button.firstChild.textContent = shown ? "Show" : "Hide";
  });
}

const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
for (const time of document.querySelectorAll("time[data-clock]")) {
  time.title = time.textContent;
  time.textContent = clock.format(new Date(time.dateTime));
}

// A second click while the first is under way would only repeat it.
const sent = new WeakMap();
document.addEventListener("submit", (event) => {
  if (event.timeStamp - (sent.get(event.target) ?? -Infinity) < 3000) event.preventDefault();
  else sent.set(event.target, event.timeStamp);
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
