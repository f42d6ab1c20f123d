"use strict";
// The fragment of a login link is its code, which browsers do not send by themselves. Where another page was asked for,
// the fragment is of that page.
function signIn() {
  const code = location.hash.slice(1), form = document.forms[0], next = new URLSearchParams(location.search).get("next");
  if (next) {
    form.elements.next.value = next + location.hash;
    for (const link of document.querySelectorAll(".other a")) link.search = new URLSearchParams({ next: next + location.hash });
  }
  if (next || !code) return;
  history.replaceState(null, "", location.pathname);  // It leaves the history and the address bar.
  Object.assign(form.elements.code, { value: code, disabled: false });
  form.hidden = true;
  document.getElementById("waiting").textContent = "Signing in …";
  form.submit();
}
addEventListener("hashchange", signIn);
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
signIn();
