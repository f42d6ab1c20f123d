// ---- phone: a link that signs in another device once, with its QR code ----

const LINK_ANSWER_MS = 3000;
let phoneTimer = 0;

async function makeLink() {
  forgetLink();
  set($("phone-answer"), "");
  try {
    const response = await fetch("api/login-link", { method: "POST", signal: AbortSignal.timeout(LINK_ANSWER_MS) });
    if (response.status === 401) return signInAgain();
    const received = await response.json();
    if (!response.ok) throw new Error(received.error);
    if ($("phone").open) showLink(received);
  } catch (error) {
    const lost = error instanceof TypeError || error instanceof SyntaxError || error instanceof DOMException;
    set($("phone-answer"), lost ? "No link was made: the camera does not answer." : error.message);
  }
}

function showLink({ url, valid_s, qr, hint }) {
  const end = Date.now() + 1000 * valid_s;  // Not performance.now(), which stops while a computer sleeps.
  clearInterval(phoneTimer);
  $("phone-code").hidden = !qr;
  if (qr) $("phone-code").src = qr;
  $("phone-hint").hidden = !hint;
  set($("phone-hint"), capitalized(hint));
  $("phone-link").value = url;
  $("phone-valid").hidden = false;
  const showTime = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    set($("phone-time"), `Valid until ${new Date(end).toLocaleTimeString()}, for ${Math.floor(left / 60)} min ${left % 60} s`);
    if (left > 0) return;
    forgetLink();
    set($("phone-answer"), "The link has expired.");
  };
  showTime();
  phoneTimer = setInterval(showTime, 1000);
}

function forgetLink() {
  clearInterval(phoneTimer);
  $("phone-valid").hidden = true;
  $("phone-link").value = "";
  $("phone-code").removeAttribute("src");
}

$("open-phone").onclick = () => {
  $("phone").showModal();
  makeLink();
};
$("phone-new").onclick = makeLink;
$("phone-link").onfocus = () => $("phone-link").select();
$("phone-close").onclick = () => $("phone").close();
$("phone").onclose = forgetLink;
