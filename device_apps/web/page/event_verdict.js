// ---- right or wrong: the verdict on a detection, for the images to train on ----

let takesVerdicts = false, isJudging = false;

function showVerdict() {
  const { urls, label, verdict, collected } = shown;
  $("verdict").hidden = !urls.verdict;
  $("unjudged").hidden = !takesVerdicts || Boolean(urls.verdict) || Boolean(shown.snapshot_lost || shown.saving);
  for (const name of ["right", "wrong"]) $(name).setAttribute("aria-pressed", String(verdict === name));
  set($("verdict-help"), collected ? `In the images to train on: ${collected}. Press again to withdraw it.`
    : `Right: the marked object is of the class “${label}”. Wrong: it is not. The image is added to the images to train on.`);
}

function showVerdictAnswer(text, bad = false) {
  $("verdict-answer").className = bad ? "bad" : "none";
  set($("verdict-answer"), text);
}

// Send a verdict, and show what is known of it if there is no answer: then it may or may not have arrived.
async function judge(verdict) {
  const { id, urls } = shown;
  if (isJudging) return;
  isJudging = true;
  showVerdictAnswer("Sending …");
  try {
    await ask(urls.verdict, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ verdict }) });
    const event = await askEvent(id);  // The answer of one of several cameras has addresses relative to its own page.
    const item = itemOf(id);
    if (item) fillItem(item, event);
    if (!shown || shown.id !== id) return;
    showEvent(event);
    showVerdictAnswer(event.verdict ? `Saved: ${event.verdict}.` : "Withdrawn.");
  } catch (error) {
    if (!shown || shown.id !== id) return;
    showVerdictAnswer(error.status ? error.message : "It did not arrive: the camera does not answer.", true);
    await refreshDialog();
  } finally {
    isJudging = false;
  }
}

for (const name of ["right", "wrong"]) $(name).onclick = () => judge(shown.verdict === name ? null : name);
