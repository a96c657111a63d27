// Sounds and images: shown before they are sent, recorded from the microphone, and where they speak.
// Without the script a file is chosen, sent and looked at all the same. Loaded as a worklet, this file is the
// recorder: it hands on what the microphone gives.
"use strict";
if (globalThis.registerProcessor) {
  registerProcessor("galeno-recorder", class extends AudioWorkletProcessor {
    process([input]) {
      if (input[0]) this.port.postMessage(input[0].slice());
      return true;
    }
  });
} else (() => {
  const HERE = document.currentScript.src;
  const RATE = 8000; // the spectrogram ends at 2,000 Hz: lung sounds have nothing above
  const HIGHEST = 2000;
  const FFT = 512;
  const WINDOW = 400; // 50 ms
  const RANGE = 70; // dB
  const WIDTH = 768;
  const VIRIDIS = [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98], [173, 220, 48], [253, 231, 37]];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const figure = (value, digits = 1) => new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: "always" }).format(value);
  const size = (bytes) => (bytes < 1e6 ? `${figure(bytes / 1e3, 0)} kB` : `${figure(bytes / 1e6)} MB`);

  /* The power of a sound over time and frequency. */

  const transform = (re, im) => {
    for (let i = 1, j = 0; i < FFT; i += 1) {
      let bit = FFT >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) [re[i], re[j]] = [re[j], re[i]];
    }
    for (let length = 2; length <= FFT; length *= 2) {
      const turn = (-2 * Math.PI) / length;
      for (let start = 0; start < FFT; start += length) {
        for (let k = 0; k < length / 2; k += 1) {
          const [c, s] = [Math.cos(turn * k), Math.sin(turn * k)];
          const [a, b] = [start + k, start + k + length / 2];
          const [x, y] = [re[b] * c - im[b] * s, re[b] * s + im[b] * c];
          [re[b], im[b]] = [re[a] - x, im[a] - y];
          re[a] += x;
          im[a] += y;
        }
      }
    }
  };
  const mono = (buffer) => {
    const mixed = new Float32Array(buffer.length);
    for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
      buffer.getChannelData(channel).forEach((value, at) => { mixed[at] += value / buffer.numberOfChannels; });
    }
    return mixed;
  };
  const spectrogram = (canvas, samples) => {
    const rows = Math.round((HIGHEST / RATE) * FFT);
    const levels = new Float32Array(rows * WIDTH);
    const hann = Float32Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
    for (let column = 0; column < WIDTH; column += 1) {
      const middle = Math.round(((column + 0.5) / WIDTH) * samples.length);
      const [re, im] = [new Float32Array(FFT), new Float32Array(FFT)];
      for (let i = 0; i < WINDOW; i += 1) re[i] = (samples[middle - WINDOW / 2 + i] ?? 0) * hann[i];
      transform(re, im);
      for (let row = 0; row < rows; row += 1) levels[(rows - 1 - row) * WIDTH + column] = 10 * Math.log10(re[row] ** 2 + im[row] ** 2 + 1e-12);
    }
    const top = Float32Array.from(levels).sort()[Math.floor(levels.length * 0.999)];
    [canvas.width, canvas.height] = [WIDTH, rows];
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(WIDTH, rows);
    levels.forEach((level, at) => {
      const share = Math.min(1, Math.max(0, (level - top + RANGE) / RANGE)) * (VIRIDIS.length - 1);
      const below = Math.min(VIRIDIS.length - 2, Math.floor(share));
      for (let k = 0; k < 3; k += 1) image.data[4 * at + k] = VIRIDIS[below][k] + (share - below) * (VIRIDIS[below + 1][k] - VIRIDIS[below][k]);
      image.data[4 * at + 3] = 255;
    });
    pen.putImageData(image, 0, 0);
  };

  /* A recording as a WAV file: 16 bits, one channel. */

  const wav = (chunks, rate) => {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const view = new DataView(new ArrayBuffer(44 + 2 * length));
    const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
    const head = [[4, 36 + 2 * length, 4], [16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2], [40, 2 * length, 4]];
    text(0, "RIFF");
    text(8, "WAVEfmt ");
    text(36, "data");
    for (const [at, value, bytes] of head) bytes === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true);
    let at = 44;
    for (const chunk of chunks) {
      for (const value of chunk) {
        view.setInt16(at, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true);
        at += 2;
      }
    }
    return view.buffer;
  };

  /* The input of a file. */

  const input = (box) => {
    const field = box.querySelector('input[type="file"]');
    const shown = box.querySelector(".media-shown");
    const canvas = shown.querySelector("canvas");
    const caption = shown.querySelector("figcaption");
    const said = box.querySelector(".media-said");
    const player = box.querySelector("audio");
    const clear = box.querySelector("[data-clear]");
    const say = box.dataset;
    let turn = 0;

    const hide = () => {
      turn += 1;
      shown.hidden = true;
      clear.hidden = true;
      if (!player) return;
      player.hidden = true;
      URL.revokeObjectURL(player.src);
      player.removeAttribute("src");
    };
    const drawImage = async (file) => {
      const bitmap = await createImageBitmap(file);
      const scale = Math.min(320 / bitmap.width, 320 / bitmap.height);
      return [`${bitmap.width} × ${bitmap.height}`, () => {
        [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
        const pen = canvas.getContext("2d");
        pen.imageSmoothingEnabled = scale < 1;
        pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
        canvas.setAttribute("aria-label", say.sayImage);
        caption.textContent = "";
      }];
    };
    // read from its head, for an hour of it would fill the memory once it is unpacked
    const lasts = (address) => new Promise((told, failed) => {
      const probe = new Audio();
      probe.preload = "metadata";
      probe.onloadedmetadata = () => told(probe.duration);
      probe.onerror = failed;
      probe.src = address;
    });
    const tooLong = async (file) => {
      const address = URL.createObjectURL(file);
      try {
        const seconds = await lasts(address);
        return seconds > Number(say.seconds) && seconds < Infinity; // which some heads leave open
      } finally {
        URL.revokeObjectURL(address);
      }
    };
    const drawSound = async (file) => {
      const samples = mono(await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer()));
      const seconds = figure(samples.length / RATE);
      return [`${seconds} s`, () => {
        spectrogram(canvas, samples);
        canvas.setAttribute("aria-label", say.saySound);
        caption.textContent = say.sayAxes.replace("{0}", figure(HIGHEST, 0)).replace("{1}", seconds);
        player.src = URL.createObjectURL(file);
        player.hidden = false;
      }];
    };
    // the server has the last word: it reads what a file is, and takes one that has no ending or an odd one
    const readable = (file) => !file.type || file.type === "application/octet-stream" || field.accept.split(",").some((kind) => (kind.startsWith(".") ? file.name.toLowerCase().endsWith(kind) : file.type === kind));
    const wrong = (file) => {
      if (!readable(file)) return say.sayKind;
      if (file.size > Number(say.largest)) return say.sayLarge;
      const together = all('input[type="file"]', field.form).flatMap((each) => [...each.files]).reduce((sum, each) => sum + each.size, 0);
      return together > Number(say.together) ? say.sayTogether : "";
    };
    const refuse = (file, why) => {
      hide();
      field.value = "";
      said.classList.add("refused");
      said.textContent = `${file.name}: ${why}`;
    };
    const show = async () => {
      hide();
      const mine = turn;
      const file = field.files[0];
      said.classList.remove("refused");
      said.textContent = file ? "" : say.sayRemoved;
      const fault = file && wrong(file);
      if (fault) return refuse(file, fault);
      field.removeAttribute("aria-invalid");
      box.closest(".field").querySelector(".error")?.remove();
      box.querySelector(".lost")?.remove();
      if (!file) return;
      clear.hidden = false;
      const name = `${file.name} (${size(file.size)}`;
      try {
        if (say.media === "sound" && (await tooLong(file))) {
          if (mine === turn) refuse(file, say.sayLong);
          return;
        }
        const [about, draw] = await (say.media === "sound" ? drawSound : drawImage)(file);
        if (mine !== turn) return;
        draw();
        shown.hidden = false;
        said.textContent = say.sayChosen.replace("{}", () => `${name}, ${about})`);
      } catch {
        if (mine === turn) said.textContent = `${say.sayChosen.replace("{}", () => `${name})`)} ${say.sayOpaque}`;
      }
    };
    field.addEventListener("change", show);
    const change = (files) => {
      field.files = files;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    };
    clear.addEventListener("click", () => {
      change(new DataTransfer().files);
      field.focus();
    });
    const recorder = box.querySelector("[data-recorder]");
    if (recorder && isSecureContext && navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode) {
      record(box, recorder, said, (file) => {
        const held = new DataTransfer();
        held.items.add(file);
        change(held.files);
      });
    }
    if (field.files.length) show(); // the browser kept it when it went back
  };

  const record = (box, place, said, done) => {
    const button = place.querySelector("[data-record]");
    const live = place.querySelector("[data-recording]");
    const meter = place.querySelector("meter");
    const clock = place.querySelector("[data-time]");
    let stop = null;
    let starting = false;
    const start = async () => {
      starting = true; // the button is not disabled meanwhile: it would lose the focus
      const longest = Number(place.dataset.longest);
      const quiet = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }; // made for voices
      let [stream, context, node] = [];
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: quiet });
        context = new AudioContext();
        await context.audioWorklet.addModule(HERE);
        node = new AudioWorkletNode(context, "galeno-recorder", { channelCount: 1, channelCountMode: "explicit" });
        context.createMediaStreamSource(stream).connect(node).connect(context.destination); // silence: it gives nothing out
      } catch (error) {
        stream?.getTracks().forEach((track) => track.stop());
        context?.close();
        said.textContent = !stream && error.name === "NotAllowedError" ? box.dataset.sayDenied : box.dataset.sayAbsent;
        starting = false;
        return;
      }
      const chunks = [];
      let [length, loudest] = [0, 0];
      node.port.onmessage = ({ data }) => {
        if (!stop || length >= longest * context.sampleRate) return;
        chunks.push(data);
        length += data.length;
        loudest = data.reduce((most, value) => Math.max(most, Math.abs(value)), loudest);
      };
      const tick = setInterval(() => {
        const seconds = length / context.sampleRate;
        clock.textContent = `${figure(seconds)} s / ${longest} s`;
        meter.value = loudest;
        loudest *= 0.5;
        if (seconds >= longest) stop?.();
      }, 100);
      stop = () => {
        stop = null;
        clearInterval(tick);
        for (const track of stream.getTracks()) track.stop();
        context.close();
        live.hidden = true;
        button.textContent = button.dataset.start;
        button.classList.remove("danger");
        if (length) done(new File([wav(chunks, context.sampleRate)], `${box.dataset.sayName}.wav`, { type: "audio/wav" }));
      };
      said.textContent = box.dataset.sayRecording;
      live.hidden = false;
      button.textContent = button.dataset.stop;
      button.classList.add("danger");
      starting = false;
    };
    button.addEventListener("click", () => (stop ? stop() : starting || start()));
    box.closest("form").addEventListener("submit", () => stop?.(), true);
    place.hidden = false;
  };

  /* Where a file of a diagnosis speaks: brought in when it is looked at, for it takes some seconds. */

  const locate = async (box, address) => {
    const busy = box.querySelector("[data-say-busy]");
    if (busy) busy.textContent = busy.dataset.sayBusy;
    else box.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(address, { credentials: "same-origin" });
      if (!response.ok || response.redirected) throw new Error("page");
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      box.replaceChildren(...document.importNode(page.querySelector("[data-located]"), true).childNodes);
      return true;
    } catch {
      if (busy) busy.textContent = "";
      return false;
    } finally {
      box.removeAttribute("aria-busy");
    }
  };
  const watcher = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
    watcher.unobserve(target);
    locate(target, target.dataset.located);
  }));
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-locate]");
    const box = link?.closest("[data-located]");
    if (!box?.dataset.located || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (await locate(box, link.href)) box.querySelector("[data-locate][aria-current]")?.focus();
    else location.assign(link.href);
  });

  all("[data-media]").forEach(input);
  all("[data-located]").filter((box) => box.dataset.located).forEach((box) => watcher.observe(box));
})();
