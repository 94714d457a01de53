// A piano-roll with its sound. `data` is: the length of a description (4 bytes), the description
// (JSON), the audio (MP3). Starting one player pauses every other one on the page.

const PLAY = "musicbench:play";
const players = new WeakMap(); // root element -> state, so that reruns do not interrupt playing

const clock = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = 4 + view.getUint32(0);
  const about = JSON.parse(new TextDecoder().decode(bytes.subarray(4, end)));
  return { about, sound: new Blob([bytes.subarray(end)], { type: "audio/mpeg" }) };
}

function draw(state) {
  const { canvas, about, audio } = state;
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const style = getComputedStyle(canvas);
  const colour = (name, other) => style.getPropertyValue(name).trim() || other;
  const ink = colour("--st-text-color", "#333");
  const accent = colour("--st-primary-color", "#c33");
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const x = (step) => (step / Math.max(about.steps, 1)) * width;
  const row = height / (about.high - about.low + 1);
  const y = (pitch) => (about.high - pitch) * row;

  const given = about.prompt < 0 ? [about.steps + about.prompt, about.steps] : [0, about.prompt];
  if (about.prompt) {
    pen.globalAlpha = 0.12;
    pen.fillStyle = ink;
    pen.fillRect(x(given[0]), 0, x(given[1] - given[0]), height);
  }
  pen.fillStyle = ink;
  for (let pitch = about.low; pitch <= about.high; pitch += 1) {
    if (pitch % 12 === 0) {
      pen.globalAlpha = 0.25; // a line below every C, with its name
      pen.fillRect(0, y(pitch) + row, width, 1);
      pen.globalAlpha = 0.6;
      pen.font = "10px sans-serif";
      pen.fillText(`C${pitch / 12 - 1}`, 3, y(pitch) + row - 2);
    }
  }
  const bar = 4 * about.grid;
  pen.globalAlpha = 0.1;
  for (let step = bar; step < about.steps; step += bar) pen.fillRect(x(step), 0, 1, height);

  const now = audio.currentTime / about.step;
  for (const [onset, length, pitch] of about.notes) {
    const sounding = now > 0 && onset <= now && now < onset + length;
    pen.fillStyle = given[0] <= onset && onset < given[1] ? ink : accent;
    pen.globalAlpha = sounding ? 1 : 0.7;
    pen.fillRect(x(onset), y(pitch), Math.max(x(length) - 1, 1.5), Math.max(row - 0.5, 1.5));
  }
  pen.globalAlpha = 1;
  pen.fillStyle = ink;
  if (now > 0) pen.fillRect(Math.min(x(now), width - 2), 0, 2, height);
}

function describe(state) {
  const { about, audio, button, canvas, time } = state;
  const total = about.steps * about.step;
  const at = Math.min(audio.currentTime, total);
  time.textContent = `${clock(at)} / ${clock(total)}`;
  button.firstElementChild.textContent = audio.paused ? "▶ Play" : "❚❚ Pause";
  button.setAttribute("aria-label", `${audio.paused ? "Play" : "Pause"} ${about.label}`);
  canvas.setAttribute("aria-valuenow", at.toFixed(1));
  canvas.setAttribute("aria-valuetext", `${at.toFixed(0)} of ${total.toFixed(0)} seconds`);
}

function follow(state) {
  draw(state);
  describe(state);
  if (!state.audio.paused) state.frame = requestAnimationFrame(() => follow(state));
}

function show(state, about, sound) {
  const { audio, canvas, root } = state;
  audio.pause();
  if (state.url) URL.revokeObjectURL(state.url);
  state.about = about;
  state.url = URL.createObjectURL(sound);
  audio.src = state.url;
  root.querySelector("figcaption").textContent = about.label;
  root.querySelector(".key").hidden = !about.prompt;
  root.querySelector(".failed").hidden = true;
  canvas.setAttribute("aria-valuemax", (about.steps * about.step).toFixed(1));
  canvas.setAttribute(
    "aria-label",
    `Piano-roll of ${about.label}: ${about.notes.length} notes. Arrow keys move, space plays.`,
  );
}

function open(root) {
  const state = { root, audio: new Audio(), canvas: root.querySelector("canvas") };
  state.button = root.querySelector("button");
  state.time = root.querySelector(".time");
  const { audio, canvas, button } = state;
  audio.preload = "auto";
  const seek = (seconds) => {
    const total = state.about.steps * state.about.step;
    audio.currentTime = Math.max(0, Math.min(seconds, total));
    follow(state);
  };
  const toggle = () => {
    if (!audio.paused) return audio.pause();
    return audio.play().catch((error) => {
      if (error.name !== "AbortError") root.querySelector(".failed").hidden = false;
    });
  };
  state.pauseForOther = (event) => {
    if (event.detail !== audio) audio.pause();
  };
  window.addEventListener(PLAY, state.pauseForOther);
  audio.addEventListener("play", () => {
    window.dispatchEvent(new CustomEvent(PLAY, { detail: audio }));
    follow(state);
  });
  for (const name of ["pause", "ended", "seeked"]) {
    audio.addEventListener(name, () => follow(state));
  }
  button.onclick = toggle;
  canvas.onclick = (event) => {
    const box = canvas.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * state.about.steps * state.about.step);
  };
  canvas.onkeydown = (event) => {
    const move = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (move) seek(audio.currentTime + move);
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(Infinity);
    else if (event.key === " " || event.key === "Enter") toggle();
    else return;
    event.preventDefault();
  };
  state.watch = new ResizeObserver(() => draw(state));
  return state;
}

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".player");
  let state = players.get(root);
  if (!state) {
    state = open(root);
    players.set(root, state);
  }
  if (state.data !== data && data && data.byteLength) {
    const { about, sound } = unpack(new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength));
    const text = JSON.stringify(about);
    if (state.text !== text || state.size !== sound.size) show(state, about, sound);
    Object.assign(state, { data, text, size: sound.size });
    state.watch.observe(state.canvas);
  }
  if (state.about) follow(state);
  return () => {
    cancelAnimationFrame(state.frame);
    state.audio.pause();
    state.watch.disconnect();
    window.removeEventListener(PLAY, state.pauseForOther);
    if (state.url) URL.revokeObjectURL(state.url);
    players.delete(root);
  };
}
