// Plays one clip from beginning to end, and reports how much of it was heard. It cannot seek, and
// the audio has no address and no file to save. `data` is: the length of a description (4 bytes),
// the description (JSON: label, and seconds if they are known), the audio (MP3).

const ENOUGH = 0.95; // share of the clip that counts as all of it, as in bench/survey/terms.py
const players = new WeakMap(); // root element -> state, so that reruns do not interrupt playing

const clock = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = 4 + view.getUint32(0);
  const about = JSON.parse(new TextDecoder().decode(bytes.subarray(4, end)));
  return { about, sound: new Blob([bytes.subarray(end)], { type: "audio/mpeg" }) };
}

function length({ audio, about }) {
  return audio.duration > 0 && audio.duration < Infinity ? audio.duration : about.seconds || 1;
}

function coverage(state) {
  const { played } = state.audio;
  let heard = 0;
  for (let i = 0; i < played.length; i += 1) heard += played.end(i) - played.start(i);
  return Math.min(1, heard / length(state));
}

function show(state) {
  const { audio, about, button, bar, time } = state;
  // The announced length: the file itself is a little longer, because encoders pad it.
  const total = Math.round(about.seconds || length(state));
  const share = audio.ended ? 1 : Math.min(1, audio.currentTime / length(state));
  bar.value = share;
  time.textContent = `${clock(share * total)} / ${clock(total)}`;
  const again = audio.ended || (state.full && audio.paused && !audio.currentTime);
  const name = !audio.paused ? "Pause" : again ? "Play again" : "Play";
  button.textContent = `${audio.paused ? "▶" : "❚❚"} ${name}`;
  button.setAttribute("aria-label", `${name}: ${about.label}`);
}

function follow(state) {
  show(state);
  if (!state.audio.paused) state.frame = requestAnimationFrame(() => follow(state));
}

function report(state) {
  state.full = state.full || coverage(state) >= ENOUGH;
  state.set("report", { plays: state.plays, coverage: state.full ? coverage(state) : 0 });
}

function open(root) {
  const audio = new Audio();
  audio.preload = "auto";
  const state = { root, audio, plays: 0, full: false };
  state.button = root.querySelector("button");
  state.bar = root.querySelector("progress");
  state.time = root.querySelector(".time");
  const failed = root.querySelector(".failed");
  const fail = () => {
    failed.hidden = false;
    failed.textContent =
      "This browser could not play the clip. Reload the page; if that does not help, try another browser.";
  };
  state.button.onclick = () => {
    failed.hidden = true;
    if (!audio.paused) audio.pause();
    else audio.play().catch((error) => error.name !== "AbortError" && fail());
  };
  audio.addEventListener("error", fail);
  audio.addEventListener("play", () => {
    if (audio.currentTime < 0.1 || audio.ended) state.plays += 1;
    follow(state);
  });
  // Reports are sent when the clip first sounds and whenever it ends. There are none in between,
  // because each report makes the server run the page.
  audio.addEventListener("playing", () => {
    if (!state.reported) report(state);
    state.reported = true;
  });
  audio.addEventListener("ended", () => report(state));
  for (const name of ["pause", "ended", "loadedmetadata"]) {
    audio.addEventListener(name, () => show(state));
  }
  return state;
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".clip");
  let state = players.get(root);
  if (!state) {
    state = open(root);
    players.set(root, state);
  }
  state.set = setStateValue;
  if (!state.url && data && data.byteLength) {
    const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
    const { about, sound } = unpack(bytes);
    state.about = about;
    state.url = URL.createObjectURL(sound);
    state.audio.src = state.url;
    state.bar.setAttribute("aria-label", `How much of it was played: ${about.label}`);
    // The next clip is a new player: give its button the focus for those who use the keyboard.
    if (!document.activeElement || document.activeElement === document.body) {
      state.button.focus({ preventScroll: true });
    }
    root.scrollIntoView({ block: "nearest" });
  }
  if (state.about) show(state);
  return () => {
    cancelAnimationFrame(state.frame);
    state.audio.pause();
    state.audio.removeAttribute("src");
    if (state.url) URL.revokeObjectURL(state.url);
    players.delete(root);
  };
}
