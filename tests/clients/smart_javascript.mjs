// SMART's JavaScript client (fhirclient), as a server-side program uses it: `request` and what is made of it.
import fhirclient from "fhirclient";
import { aMedia, aTransaction, base, idIn, picture, refused, run, same, token } from "./steps.mjs";

const FhirClient = fhirclient.FhirClient;
const authorization = { authorization: `Bearer ${token}` };
const storage = { get: async () => undefined, set: async (_key, value) => value, unset: async () => true };
const request = { headers: {}, url: "/", connection: {} };
const smart = fhirclient(request, {}, storage);
const client = smart.client({
  serverUrl: base,
  tokenResponse: { access_token: token, token_type: "Bearer", patient: "anna" },
  expiresAt: Math.floor(Date.now() / 1000) + 240,
});
let made;

await run({
  async capabilities() {
    same((await client.request("metadata")).fhirVersion, "4.0.1");
    same(new FhirClient(base).fhirBaseUrl.replace(/\/$/, ""), base);
  },
  async create() {
    made = await client.create(aMedia());
    same(made.meta.versionId, "1");
  },
  async read() {
    same(await client.request(`Media/${made.id}`), made);
    same((await client.patient.read()).id, "anna");
  },
  async references() {
    const resolved = await client.request(`Media/${made.id}`, { resolveReferences: ["subject"] });
    same(resolved.subject.id, "anna");
  },
  async update() {
    made = await client.update({ ...made, deviceName: "camera" });
    same([made.deviceName, made.meta.versionId], ["camera", "2"]);
  },
  async patch() {
    made = await client.patch(`Media/${made.id}`, [{ op: "replace", path: "/deviceName", value: "another" }]);
    same([made.deviceName, made.meta.versionId], ["another", "3"]);
  },
  async search() {
    const found = await client.request(`Media?_id=${made.id}`);
    same(found.entry.map((each) => each.resource.id), [made.id]);
    const own = await client.patient.request("Media?identifier=urn:marks|page", { flat: true, pageLimit: 0 });
    same(own.length, 7);
  },
  async paging() {
    const url = "Media?identifier=urn:marks|page&_sort=created&_count=3";
    const all = await client.request(url, { pageLimit: 0, flat: true });
    same(all.map((each) => each.id), ["page-0", "page-1", "page-2", "page-3", "page-4", "page-5", "page-6"]);
    const pages = await client.request(url, { pageLimit: 2 });
    same(pages.map((each) => each.entry.length), [3, 3]);
  },
  async transaction() {
    const answer = await client.request({
      url: base, method: "POST", body: JSON.stringify(aTransaction("smart")),
      headers: { "content-type": "application/fhir+json" },
    });
    const [patient, media] = answer.entry.map((each) => each.response.location);
    const stored = await client.request(`Media/${idIn(media, "Media")}`);
    same(stored.subject.reference, `Patient/${idIn(patient, "Patient")}`);
  },
  async upload() {
    const binary = await client.request({
      url: "Binary", method: "POST", body: picture, headers: { "content-type": "image/png" },
    });
    const media = await client.create(aMedia({ content: { url: `Binary/${binary.id}`, contentType: "image/png" } }));
    same(media.content.size, picture.length);
    const answer = await fetch(`${base}/Binary/${binary.id}`, { headers: authorization });
    same(Buffer.from(await answer.arrayBuffer()).equals(picture), true);
    const shown = await fetch(`${base}/Media/${media.id}/$rendition?width=256`, { headers: authorization });
    same(shown.headers.get("content-type").startsWith("image/"), true);
  },
  async delete() {
    await client.delete(`Media/${made.id}`);
    await refused(client.request(`Media/${made.id}`), 410);
  },
  async refusal() {
    await refused(client.create({ ...aMedia(), status: "nonsense" }), 400);
  },
});
