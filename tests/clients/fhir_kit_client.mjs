// fhir-kit-client: everything it offers for the work of an integrator.
import { Client } from "fhir-kit-client";
import { aMedia, aTransaction, base, idIn, picture, refused, run, same, token } from "./steps.mjs";

const client = new Client({ baseUrl: base, bearerToken: token });
let made;

await run({
  async capabilities() {
    same((await client.capabilityStatement()).fhirVersion, "4.0.1");
  },
  async create() {
    made = await client.create({ resourceType: "Media", body: aMedia() });
    same(made.meta.versionId, "1");
  },
  async read() {
    same(await client.read({ resourceType: "Media", id: made.id }), made);
    same(await client.vread({ resourceType: "Media", id: made.id, version: "1" }), made);
  },
  async update() {
    made = await client.update({ resourceType: "Media", id: made.id, body: { ...made, deviceName: "camera" } });
    same(made.deviceName, "camera");
  },
  async conditional_update() {
    const body = aMedia({ identifier: [{ system: "urn:marks", value: "kit-once" }] });
    const searchParams = { identifier: "urn:marks|kit-once" };
    const first = await client.update({ resourceType: "Media", searchParams, body });
    const second = await client.update({ resourceType: "Media", searchParams, body: { ...body, deviceName: "two" } });
    same([second.id, second.meta.versionId], [first.id, "2"]);
  },
  async patch() {
    const jsonPatch = [{ op: "replace", path: "/deviceName", value: "another camera" }];
    made = await client.patch({ resourceType: "Media", id: made.id, jsonPatch });
    same(made.deviceName, "another camera");
  },
  async search() {
    const found = await client.search({ resourceType: "Media", searchParams: { _id: made.id } });
    same(found.entry.map((each) => each.resource.id), [made.id]);
    const posted = await client.search({
      resourceType: "Media", searchParams: { _id: made.id }, options: { postSearch: true },
    });
    same(posted.entry.map((each) => each.resource.id), [made.id]);
    const compartment = { resourceType: "Patient", id: "anna" };
    const inside = await client.search({ resourceType: "Media", compartment, searchParams: { _id: made.id } });
    same(inside.entry.length, 1);
    const all = await client.search({ searchParams: { _type: "Media", _id: made.id } });
    same(all.entry.length, 1);
  },
  async paging() {
    const seen = [];
    const searchParams = { identifier: "urn:marks|page", _sort: "created", _count: 3 };
    let page = await client.search({ resourceType: "Media", searchParams });
    while (page) {
      seen.push(...(page.entry ?? []).map((each) => each.resource.id));
      page = await client.nextPage({ bundle: page });
    }
    same(seen, ["page-0", "page-1", "page-2", "page-3", "page-4", "page-5", "page-6"]);
  },
  async history() {
    const versions = await client.history({ resourceType: "Media", id: made.id });
    same(versions.entry.map((each) => each.resource.meta.versionId), ["3", "2", "1"]);
    same((await client.history({ resourceType: "Media" })).type, "history");
    same((await client.history()).type, "history");
  },
  async transaction() {
    const answer = await client.transaction({ body: aTransaction("kit") });
    same(answer.type, "transaction-response");
    const [patient, media] = answer.entry.map((each) => each.response.location);
    const stored = await client.read({ resourceType: "Media", id: idIn(media, "Media") });
    same(stored.subject.reference, `Patient/${idIn(patient, "Patient")}`);
    const again = await client.transaction({ body: aTransaction("kit") });
    same(again.entry[0].response.status.slice(0, 3), "200");
  },
  async batch() {
    const entry = [
      { request: { method: "GET", url: `Media/${made.id}` } },
      { request: { method: "GET", url: "Media/absent" } },
    ];
    const answer = await client.batch({ body: { resourceType: "Bundle", type: "batch", entry } });
    same(answer.entry.map((each) => each.response.status.slice(0, 3)), ["200", "404"]);
    same(answer.entry[0].resource.id, made.id);
  },
  async operation() {
    const checked = await client.operation({ name: "validate", resourceType: "Media", input: aMedia() });
    same(checked.resourceType, "OperationOutcome");
    const all = await client.operation({ name: "$everything", resourceType: "Patient", id: "anna", method: "GET" });
    same(all.resourceType, "Bundle");
  },
  async upload() {
    // The client speaks JSON only: content goes in as base64, and comes out as a resource.
    const body = { resourceType: "Binary", contentType: "image/png", data: picture.toString("base64") };
    const binary = await client.create({ resourceType: "Binary", body });
    const media = await client.create({ resourceType: "Media", body: aMedia({ content: { url: `Binary/${binary.id}` } }) });
    same(media.content.size, picture.length);
    const back = await client.read({ resourceType: "Binary", id: binary.id });
    same(back.data, body.data);
  },
  async delete() {
    await client.delete({ resourceType: "Media", id: made.id });
    await refused(client.read({ resourceType: "Media", id: made.id }), 410);
  },
  async refusal() {
    const error = await refused(client.create({ resourceType: "Media", body: { ...aMedia(), status: "nonsense" } }), 400);
    same(error.response.data.resourceType, "OperationOutcome");
  },
});
