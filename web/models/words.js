/** Words of the model panel. */

import { texts } from "../lib/texts.js";

export const words = texts({
  en: {
    label: "Model files",
    asking: "Loading the list of model files …",
    unknown: "The server did not return its model files: {reason}",
    again: "Try again",
    pack: "{name} comes with the pack: nothing to download. Licence: {licence}.",
    ownPair: "aa-mini's own pair is chosen: it comes with the pack. For real people:",
    own: "{name} is for weights that you have trained: put them into models/animate_anyone.",
    detect: "Uses any files in models/animate_anyone. To download a published set, choose it as preset.",
    licence: "Licence: {licence}",
    count: "{there} of {all} files present",
    absent: "Not on this server: {files}.",
    belong: "Part of {title}, which can be downloaded here.",
    foreign: "It belongs to no published set: put the file into models/animate_anyone.",
    loaders: "Choose {vae} in Load VAE and {clip} in Load CLIP Vision.",
    present: "present",
    missing: "missing",
    fetching: "downloading",
    wrong: "wrong size",
    byHand: "{place}\nLicence: {licence}\nBy hand: {address}",
    download: "Download missing",
    resume: "Resume",
    about: "about {size}",
    cancel: "Cancel",
    use: "Use these files",
    stopped: "Stopped. Downloaded parts are kept.",
    stopping: "Stopping …",
    checking: "checking {file}",
    amount: "{done} of {total}",
    amountAbout: "{done} of about {total}",
    rate: "{size}/s",
    minutes: "{minutes} min left",
    other: "{title} is being downloaded; one set at a time.",
    progress: "Download",
  },
  zh: {
    label: "模型文件",
    asking: "正在向服务器查询模型文件……",
    unknown: "服务器没有返回模型文件：{reason}",
    again: "重新查询",
    pack: "{name} 随插件提供，无需下载。许可证：{licence}。",
    ownPair: "已选 aa-mini 自带的一对网络，随插件提供。真人请用：",
    own: "{name} 用于您自己训练的权重：请放入 models/animate_anyone。",
    detect: "models/animate_anyone 中的任意文件。要下载公开权重，请在 preset 中选择。",
    licence: "许可证：{licence}",
    count: "{all} 个文件中已有 {there} 个",
    absent: "服务器上没有：{files}。",
    belong: "属于 {title}，可以在这里下载。",
    foreign: "公开的权重中没有这个名称：请把文件放入 models/animate_anyone。",
    loaders: "请在加载 VAE 中选择 {vae}，在加载 CLIP 视觉中选择 {clip}。",
    present: "已有",
    missing: "缺少",
    fetching: "下载中",
    wrong: "大小不符",
    byHand: "{place}\n许可证：{licence}\n手动下载：{address}",
    download: "下载缺少的文件",
    resume: "继续下载",
    about: "约 {size}",
    cancel: "取消",
    use: "使用这些文件",
    stopped: "已停止，已下载的部分会保留。",
    stopping: "正在停止……",
    checking: "正在校验 {file}",
    amount: "{done} / {total}",
    amountAbout: "{done} / 约 {total}",
    rate: "{size}/秒",
    minutes: "剩余 {minutes} 分钟",
    other: "正在下载 {title}；一次只能下载一套。",
    progress: "下载进度",
  },
});

/**
 * Return a size in words, such as "3.44 GB".
 *
 * @param {number} bytes
 */
export function size(bytes) {
  for (const [unit, one] of /** @type {[string, number][]} */ ([
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ])) {
    if (bytes >= one * 0.9995) {
      return `${(bytes / one).toPrecision(3)} ${unit}`;
    }
  }
  return `${bytes} B`;
}
