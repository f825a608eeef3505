// The shapes that the page takes from the HTTP API, for editors and `tsc --checkJs`; nothing is run here.

/**
 * @typedef {"identical"|"same"|"copy"|"partial"|"similar"} Kind
 * @typedef {"same"|"copies"|"parts"|"alike"} TierName
 * @typedef {[number, number]} Point  x and y in pixels of the upright picture
 * @typedef {[number, number, number, number]} Box  left, top, right, bottom in pixels
 */

/**
 * @typedef {object} Sighting
 * @property {string} uri
 * @property {string|null} page
 * @property {string|null} title
 * @property {string|null} alt
 * @property {string} first_seen  ISO 8601
 * @property {string} last_seen
 * @property {string|null} gone
 * @property {boolean|null} there  whether its file was there when it was looked at
 * @property {{kind: "symbolic"|"hard", uri: string}|null} link  the file that it is a link to, or the same as
 */

/**
 * @typedef {object} Credit
 * @property {string|null} creator
 * @property {string|null} credit_line
 * @property {string|null} copyright
 * @property {string|null} rights_url
 * @property {string|null} licensor
 * @property {string|null} taken
 */

/** @typedef {{name: string, parent: string, confidence: number}} Label */

/**
 * @typedef {object} Edit
 * @property {string} name
 * @property {number|null} amount
 * @property {Point[]|null} area
 */

/**
 * @typedef {object} Evidence
 * @property {string} method
 * @property {number|null} distance
 * @property {number|null} inliers
 * @property {number[][]|null} transform
 * @property {Point[]|null} query_area
 * @property {Point[]|null} match_area
 * @property {{query: number|null, match: number|null}} coverage
 * @property {number|null} agreement
 * @property {{from: "query"|"match", why: {code: string, text: string}[], sure: number}|null} direction
 * @property {number|null} similarity
 * @property {Edit[]} edits
 * @property {[number, number, number, number][]} points
 */

/**
 * @typedef {object} ImageFacts
 * @property {string} id
 * @property {number} width
 * @property {number} height
 * @property {string} format
 * @property {number} bytes
 * @property {Sighting[]} sightings
 * @property {Credit} credit
 * @property {string} [added]
 * @property {Label[]} [labels]
 * @property {{colour?: string, hex?: string, name?: string, share: number}[]} [colours]
 * @property {Record<string, string|number|boolean>} [fields]
 * @property {string|null} [original_url]
 */

/**
 * @typedef {object} MatchFacts
 * @property {Kind} kind
 * @property {number} score
 * @property {Evidence} evidence
 * @property {string} sentence
 * @property {string[]} copies
 * @property {string} [token]  of the answer that it belongs to; set by the page
 */

/** @typedef {ImageFacts & MatchFacts} Match */

/**
 * @typedef {object} QueryFacts
 * @property {number} width
 * @property {number} height
 * @property {string} format
 * @property {number} quality
 * @property {string[]} notes
 * @property {Label[]} labels
 * @property {Box[]} objects
 * @property {string} token
 */

/**
 * @typedef {object} Answer
 * @property {QueryFacts} query
 * @property {Match[]} matches
 * @property {Record<string, number>} timings_ms
 * @property {number} total
 * @property {Record<Kind, number>} counts
 * @property {string|null} next
 */

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {string} kind
 * @property {"waiting"|"running"|"done"|"failed"|"cancelled"} state
 * @property {{done: number, total: number|null, rate: number|null}} progress
 * @property {any} report
 * @property {any} error
 * @property {string|null} started
 * @property {string|null} finished
 */

/**
 * @typedef {object} Status
 * @property {string} version
 * @property {{name: string, images: number, bytes: number, default: boolean}[]} collections
 * @property {string[]} scopes
 * @property {string|null} model  that finds what looks alike
 * @property {{originals: boolean, index: boolean, file_actions: boolean}} allowed
 * @property {{waiting: number, running: number, limit: number}} queue
 */

/**
 * @typedef {object} DuplicateImage
 * @property {Kind|null} kind
 * @property {number|null} score
 * @property {string} sentence
 * @property {"spare"|"choice"|"keep"|"part"} suggestion
 * @property {string} why
 */

/**
 * @typedef {object} Group
 * @property {"picture"|"parts"} kind
 * @property {boolean} choice
 * @property {string} id
 * @property {string} keep
 * @property {string} why
 * @property {(ImageFacts & DuplicateImage)[]} images
 * @property {number} bytes_to_free
 */

/**
 * @typedef {object} Route
 * @property {"search"|"images"|"duplicates"|"add"} view
 * @property {string} [collection]
 * @property {string} [url]
 * @property {string} [id]
 * @property {string} [token]
 * @property {string} [upload]  number of a picture that only this tab holds
 * @property {string} [region]
 * @property {string} [filter]
 * @property {string} [sure]  least score
 * @property {string} [sort]
 * @property {string} [tier]
 * @property {string} [match]
 * @property {string} [how]
 * @property {string} [q]
 * @property {string} [image]
 */

export {};
