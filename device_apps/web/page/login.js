"use strict";
const ASK_AGAIN_MS = 60000;

// The fragment of a login link is its code, which browsers do not send by themselves. Where another page was asked for,
// the fragment is of that page.
function signIn() {
  const code = location.hash.slice(1), form = document.forms[0], next = new URLSearchParams(location.search).get("next");
  if (next && triesAgain()) {
    form.hidden = true;
    return location.replace(`.${form.elements.next.value}${location.hash}`);
  }
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

// Perhaps this browser is signed in: a link on a page of another site sends no cookie (SameSite), and this page does. So
// what was asked for is asked for once more, and the server leads back here if the browser is not.
function triesAgain() {
  try {
    const before = Number(sessionStorage.askedAgainAt || 0);
    sessionStorage.askedAgainAt = Date.now();
    return Date.now() - before > ASK_AGAIN_MS;
  } catch {
    return false;  // Storage is switched off.
  }
}

addEventListener("hashchange", signIn);
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
signIn();
