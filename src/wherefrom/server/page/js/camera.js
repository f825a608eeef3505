// The camera: a photo taken in a dialog and handed on like any other picture.

import { announce, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { words } from "./words.js";

const LARGEST = 1920; // pixels asked of the camera: more than enough to know a picture by

/** Open the camera; `took` gets the photo. @param {(photo: Blob) => void} took */
export function photograph(took) {
  let facing = "environment";
  /** @type {MediaStream|null} */
  let stream = null;
  const said = h("p.soft", { role: "status" }, words.shot.asking);
  const video = h("video", { playsinline: true, "aria-label": words.shot.live });
  video.muted = true;
  const shoot = h("button.button.primary", { type: "button", disabled: true, onclick: () => take() }, icon("camera"), words.shot.take);
  const flip = h("button.button", { type: "button", hidden: true, onclick: () => turn() }, icon("again"), words.shot.flip);
  const dialog = h(
    "dialog.camera",
    { "aria-labelledby": "camera-title", onclose: () => ended() },
    h("header.dialog-head", {}, h("h2", { id: "camera-title" }, words.shot.title), closer(() => dialog.close())),
    h("div.camera-view", {}, video, said),
    h("p.actions", {}, shoot, flip),
  );

  async function start() {
    if (!navigator.mediaDevices) return refuse(words.shot.insecure);
    try {
      stop();
      const wanted = { facingMode: facing, width: { ideal: LARGEST }, height: { ideal: LARGEST } };
      stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      if (!dialog.open) return stop();
      video.srcObject = stream;
      await video.play();
      said.hidden = true;
      shoot.disabled = false;
      shoot.focus();
      const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
      flip.hidden = cameras.length < 2;
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      refuse(name === "NotFoundError" ? words.shot.none : words.shot.refused);
    }
  }

  function turn() {
    facing = facing === "environment" ? "user" : "environment";
    void start();
  }

  function take() {
    const sheet = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    sheet.getContext("2d").drawImage(video, 0, 0);
    sheet.toBlob(
      (/** @type {Blob|null} */ photo) => {
        dialog.close();
        if (photo) took(photo);
      },
      "image/jpeg",
      0.92,
    );
  }

  /** @param {string} why */
  function refuse(why) {
    said.hidden = false;
    fill(said, why);
    announce(why, true);
  }

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
  }

  function ended() {
    stop();
    dialog.remove();
  }

  document.body.append(dialog);
  dialog.showModal();
  void start();
}

/** The button that closes a dialog. @param {() => void} act */
export const closer = (act) => h("button.plain.closer", { type: "button", "aria-label": words.close, title: words.close, onclick: act }, icon("close"));
