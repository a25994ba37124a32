//! A release: its sections, and what is read of it.

use super::credentials::{drop_credentials, drop_user_info};
use super::fields::{
    BUILD_INFO, DEPLOY_INFO, DISTRIBUTE_INFO, Fields, SECURITY_STATS_INFO, TEST_INFO, VERSION_INFO,
};
use super::shape::{is_deleted, text_of, unix_seconds_of};
use crate::json::{Json, Members, Path, Problem, to_text};

/// A release that fits the documented types, in the JSON that the API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `versionInfo.id`, never empty.
    pub release_id: String,
    /// `versionInfo.created_at` in Unix seconds, 0 to 999999999999; 0 where it is missing.
    pub created_at: u64,
    /// Whether `versionInfo.deleted_at` says that the release is gone.
    pub deleted: bool,
    /// The `versionInfo` object as compact JSON.
    pub version_info: String,
    /// The members after `versionInfo` as compact JSON, without the braces around them: the documented
    /// sections from `buildInfo` on, and then all other members.
    pub sections: String,
    /// The sections in which the input has no record, not even a soft-deleted one.
    pub unfilled: Vec<&'static str>,
    /// How many credentials it held. They are not in the JSON.
    pub credentials_dropped: usize,
}

/// A section of a release: a list of records.
struct Section {
    name: &'static str,
    fields: &'static Fields,
    /// What is changed in a record before it is checked; the result is how many credentials were dropped from
    /// it.
    prepare: fn(&mut Members<'_>, &Path<'_>) -> Result<usize, Problem>,
}

/// The documented sections, in the order in which they are answered.
const SECTIONS: [Section; 5] = [
    Section { name: "buildInfo", fields: &BUILD_INFO, prepare: |build, _| Ok(drop_credentials(build)) },
    Section { name: "deployInfo", fields: &DEPLOY_INFO, prepare: show_container },
    Section { name: "testInfo", fields: &TEST_INFO, prepare: |_, _| Ok(0) },
    Section { name: "distributeInfo", fields: &DISTRIBUTE_INFO, prepare: drop_deleted_parts },
    Section { name: "securityStatsInfo", fields: &SECURITY_STATS_INFO, prepare: |_, _| Ok(0) },
];

impl Release {
    pub(super) fn check(release_id: String, root: Members<'_>) -> Result<Self, Problem> {
        let mut root = root;
        let path = Path::ROOT.field("versionInfo");
        let mut version_info = root.shift_remove("versionInfo").unwrap_or(Json::Null).into_members(&path)?;
        let mut credentials_dropped = drop_user_info(&VERSION_INFO, &mut version_info);
        let version_info = VERSION_INFO.checked(version_info, &path)?;
        let created_at = unix_seconds_of(&version_info, "created_at", &path)?;
        let deleted = is_deleted(&version_info, &path)?;
        let (mut sections, mut unfilled) = (Members::new(), Vec::new());
        for section in &SECTIONS {
            let path = Path::ROOT.field(section.name);
            let records = match root.shift_remove(section.name) {
                None | Some(Json::Null) => Vec::new(),
                Some(records) => records.into_elements(&path)?,
            };
            if records.is_empty() {
                unfilled.push(section.name);
            }
            let mut live = Vec::with_capacity(records.len());
            for (index, record) in records.into_iter().enumerate() {
                let path = path.index(index);
                let mut record = record.into_members(&path)?;
                if section.has_deleted(&record, &path)? {
                    continue;
                }
                credentials_dropped += drop_user_info(section.fields, &mut record);
                credentials_dropped += (section.prepare)(&mut record, &path)?;
                live.push(Json::Object(section.fields.checked(record, &path)?));
            }
            sections.insert(section.name.into(), Json::List(live));
        }
        sections.extend(root);
        let sections = to_text(&Json::Object(sections));
        Ok(Self {
            release_id,
            created_at,
            deleted,
            version_info: to_text(&Json::Object(version_info)),
            sections: sections[1..sections.len() - 1].to_owned(),
            unfilled,
            credentials_dropped,
        })
    }
}

impl Section {
    /// Whether a record is soft-deleted. Zadig does not store `securityStatsInfo`, so nothing there is.
    fn has_deleted(&self, record: &Members<'_>, path: &Path<'_>) -> Result<bool, Problem> {
        let can_be = self.fields.all().any(|field| field.shown == "deleted_at");
        Ok(can_be && is_deleted(record, path)?)
    }
}

/// Gives a deploy the name of its service as it is answered: `<service>/<container>` where there is a
/// container. A source may have either form.
#[expect(clippy::unnecessary_wraps, reason = "it stands in a table beside others, which can fail")]
fn show_container(deploy: &mut Members<'_>, _: &Path<'_>) -> Result<usize, Problem> {
    let container = text_of(deploy, "containerName");
    if let Some(name) = deploy.get("serviceName").and_then(Json::as_text)
        && !container.is_empty()
        && !name.strip_suffix(container).is_some_and(|rest| rest.ends_with('/'))
    {
        let shown = Json::text(format!("{name}/{container}"));
        deploy.insert("serviceName".into(), shown);
    }
    Ok(0)
}

/// Takes the soft-deleted parts out of a chart's distribution.
fn drop_deleted_parts(distribution: &mut Members<'_>, path: &Path<'_>) -> Result<usize, Problem> {
    let path = path.field("subDistributes");
    if let Some(Json::List(parts)) = distribution.get_mut("subDistributes") {
        let mut live = Vec::with_capacity(parts.len());
        for (index, part) in std::mem::take(parts).into_iter().enumerate() {
            let is_deleted = match &part {
                Json::Object(part) => is_deleted(part, &path.index(index))?,
                _ => false,
            };
            if !is_deleted {
                live.push(part);
            }
        }
        *parts = live;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use delivery_center::store::filters::{FILTERS, Filter};
    use delivery_center::store::json::Json;
    use serde_json::value::RawValue;

    use super::super::Record;
    use super::*;

    const REFERENCE: &str = include_str!("../../../samples/reference-release.json");

    /// Expects a release, given as `versionInfo`'s members after its id and the top-level members after
    /// `versionInfo`.
    fn release(version_info: &str, rest: &str) -> Result<Release, String> {
        check(&format!(r#"{{"versionInfo":{{"id":"r"{version_info}}}{rest}}}"#))
    }

    fn check(text: &str) -> Result<Release, String> {
        match Record::check(text.as_bytes()).map_err(|problem| problem.to_string())? {
            Record::Release(release) => Ok(*release),
            Record::Artifact(_) => Err("an artifact".to_owned()),
        }
    }

    fn sections(rest: &str) -> String {
        release("", rest).unwrap().sections
    }

    fn problem(version_info: &str, rest: &str) -> String {
        release(version_info, rest).expect_err("a problem")
    }

    const EMPTY_SECTIONS: &str =
        r#""buildInfo":[],"deployInfo":[],"testInfo":[],"distributeInfo":[],"securityStatsInfo":[]"#;

    /// The page's JSON has one member or element a line.
    fn compacted(page: &str) -> String {
        page.lines().map(|line| line.trim_start().replacen("\": ", "\":", 1)).collect()
    }

    #[test]
    fn the_release_on_zadigs_page_comes_out_as_the_page_shows_it() {
        let records: Vec<&RawValue> = serde_json::from_str(REFERENCE).unwrap();
        let release = check(records[0].get()).unwrap();
        let answer = format!(r#"[{{"versionInfo":{},{}}}]"#, release.version_info, release.sections);
        assert_eq!(answer, compacted(REFERENCE));
        assert_eq!(release.release_id, "619dbaa8c528c2182225e8d9");
        assert_eq!(release.created_at, 1_637_726_888);
        assert!(!release.deleted);
        assert_eq!(release.credentials_dropped, 0);
    }

    #[test]
    fn what_comes_out_goes_in_again_unchanged() {
        let records: Vec<&RawValue> = serde_json::from_str(REFERENCE).unwrap();
        let first = check(records[0].get()).unwrap();
        let again = check(&format!(r#"{{"versionInfo":{},{}}}"#, first.version_info, first.sections));
        assert_eq!(again, Ok(first));
    }

    #[test]
    fn an_id_alone_is_a_release_whose_lists_are_empty() {
        let release = release("", "").unwrap();
        assert_eq!(release.version_info, r#"{"id":"r","labels":[]}"#);
        assert_eq!(release.sections, EMPTY_SECTIONS);
        assert_eq!((release.created_at, release.deleted), (0, false));
        assert_eq!(found_by(&release), [] as [&str; 0]);
    }

    #[test]
    fn a_release_needs_a_non_empty_id() {
        let found = |text: &str| check(&format!(r#"{{"versionInfo":{text}}}"#)).expect_err("a problem");
        assert_eq!(found("{}"), "$.versionInfo.id: expected a non-empty string, found nothing");
        assert_eq!(found(r#"{"id":null}"#), "$.versionInfo.id: expected a non-empty string, found null");
        assert_eq!(found(r#"{"id":7}"#), "$.versionInfo.id: expected a non-empty string, found a number");
        assert_eq!(
            found(r#"{"id":""}"#),
            "$.versionInfo.id: expected a non-empty string, found an empty one"
        );
        assert_eq!(found("null"), "$.versionInfo: expected an object, found null");
        assert_eq!(found("[]"), "$.versionInfo: expected an object, found a list");
    }

    #[test]
    fn null_lists_become_empty_and_null_scalars_stay() {
        let release = release(
            r#","version":null,"taskId":null,"labels":null,"productEnvInfo":null,"created_at":null,"deleted_at":null"#,
            r#","buildInfo":null,"deployInfo":null,"testInfo":null,"distributeInfo":null,"securityStatsInfo":null"#,
        )
        .unwrap();
        assert_eq!(
            release.version_info,
            r#"{"id":"r","version":null,"taskId":null,"labels":[],"productEnvInfo":null,"created_at":null,"deleted_at":null}"#
        );
        assert_eq!(release.sections, EMPTY_SECTIONS);
        assert_eq!((found_by(&release), release.created_at), (vec![], 0));
    }

    #[test]
    fn an_environments_missing_lists_are_filled_in() {
        let filled = release(r#","productEnvInfo":{}"#, "").unwrap().version_info;
        assert_eq!(
            filled,
            r#"{"id":"r","labels":[],"productEnvInfo":{"auth":[],"services":[],"roleIds":[]}}"#
        );
        let nulls = r#","productEnvInfo":{"vars":null,"services":[null,[{"containers":null,"render":null}]],"auth":null,"roleIds":null}"#;
        assert_eq!(
            release(nulls, "").unwrap().version_info,
            r#"{"id":"r","labels":[],"productEnvInfo":{"auth":[],"services":[[],[{"containers":[],"render":null}]],"vars":[],"roleIds":[]}}"#
        );
        let variables = r#","productEnvInfo":{"vars":[{"services":null},{}]}"#;
        assert!(release(variables, "").unwrap().version_info.contains(r#""vars":[{"services":[]},{}]"#));
    }

    #[test]
    fn a_deploys_missing_lists_are_filled_in() {
        let empty = r#"[{"yamlContents":[],"envs":[],"orderedServices":[]}]"#;
        assert!(sections(r#","deployInfo":[{}]"#).contains(empty));
        assert!(
            sections(r#","deployInfo":[{"yamlContents":null,"envs":null,"orderedServices":null}]"#)
                .contains(empty)
        );
        assert!(
            sections(r#","deployInfo":[{"orderedServices":[null,["a"]]}]"#)
                .contains(r#""orderedServices":[[],["a"]]"#)
        );
    }

    #[test]
    fn documented_fields_come_first_in_their_order_and_unknown_ones_after_them_as_they_came() {
        let release = check(
            r#"{ "zz" : { "b" : 1e2, "a" : 12345678901234567890123 }, "deployInfo":[{"x":1.50,"image":"i","id":"d"}],
                 "versionInfo":{"status":"\u00e9","deleted_at":0,"type":null,"id":"r"}, "aa":-0 }"#,
        )
        .unwrap();
        assert_eq!(release.version_info, r#"{"id":"r","labels":[],"deleted_at":0,"status":"é","type":null}"#);
        assert_eq!(
            release.sections,
            r#""buildInfo":[],"deployInfo":[{"id":"d","image":"i","yamlContents":[],"envs":[],"orderedServices":[],"x":1.50}],"testInfo":[],"distributeInfo":[],"securityStatsInfo":[],"zz":{"b":1e2,"a":12345678901234567890123},"aa":-0"#
        );
    }

    #[test]
    fn build_test_and_distribute_records_stay_as_they_came() {
        let builds = r#""buildInfo":[{"issues":null,"serviceName":"s","imageInfo":{"z":1,"a":null},"commits":null,"id":"b","end_time":2}]"#;
        let tests = r#""testInfo":[{"testReports":[{"time":1.5}],"id":"t"}]"#;
        let distributes = r#""distributeInfo":[{"subDistributes":null,"releaseId":"r","deleted_at":0}]"#;
        let security = r#""securityStatsInfo":[{"imageName":"i"}]"#;
        assert_eq!(
            sections(&format!(",{security},{builds},{tests},{distributes}")),
            format!(r#"{builds},"deployInfo":[],{tests},{distributes},{security}"#)
        );
    }

    #[test]
    fn a_soft_deleted_part_of_a_distribution_is_left_out() {
        assert_eq!(
            sections(
                r#","distributeInfo":[{"id":"e","subDistributes":[{"id":"f","deleted_at":5},"x",{"id":"g"}],"z":1}]"#
            ),
            r#""buildInfo":[],"deployInfo":[],"testInfo":[],"distributeInfo":[{"id":"e","subDistributes":["x",{"id":"g"}],"z":1}],"securityStatsInfo":[]"#
        );
    }

    #[test]
    fn a_repeated_member_stays_at_its_first_place_with_its_last_value() {
        let release = release(
            r#","id":"later","x":1,"y":2,"x":3"#,
            r#","buildInfo":[{"id":"a","id":"b"}],"buildInfo":[{"id":"c","n":1,"id":"d"}]"#,
        )
        .unwrap();
        assert_eq!(release.release_id, "later");
        assert_eq!(release.version_info, r#"{"id":"later","labels":[],"x":3,"y":2}"#);
        assert!(release.sections.starts_with(r#""buildInfo":[{"id":"d","n":1}],"#));
    }

    #[test]
    fn soft_deleted_records_are_left_out() {
        for section in ["buildInfo", "deployInfo", "testInfo", "distributeInfo"] {
            let rest = format!(
                r#","{section}":[{{"id":"1","deleted_at":9}},{{"id":"2","deleted_at":0}},{{"id":"3","deleted_at":null}},{{"id":"4","deleted_at":-1}}]"#
            );
            let kept = sections(&rest);
            assert!(!kept.contains(r#""id":"1""#) && !kept.contains(r#""id":"4""#), "{section}");
            assert!(kept.contains(r#"[{"id":"2","#) && kept.contains(r#"},{"id":"3","#), "{section}");
        }
        assert!(release(r#","deleted_at":1637726888"#, "").unwrap().deleted);
    }

    /// The values by which a release is found, each behind its filter's name.
    fn found_by(release: &Release) -> Vec<String> {
        let json = format!(r#"{{"versionInfo":{},{}}}"#, release.version_info, release.sections);
        let json = Json::read(&json).unwrap();
        let values = |filter: &'static Filter| {
            filter.values_of(&json).into_iter().map(|value| format!("{} {value}", filter.name))
        };
        FILTERS.iter().flat_map(values).collect()
    }

    fn services(release: &Release) -> Vec<String> {
        let found = found_by(release);
        found.iter().filter_map(|found| found.strip_prefix("service ").map(str::to_owned)).collect()
    }

    fn deploy_name(service: &str, container: &str) -> (String, Vec<String>) {
        let deploy = format!(r#","deployInfo":[{{"serviceName":{service},"containerName":{container}}}]"#);
        let release = release("", &deploy).unwrap();
        let (_, name) = release.sections.split_once(r#""serviceName":"#).unwrap();
        let (name, _) = name.split_once(r#","containerName""#).unwrap();
        (name.to_owned(), services(&release))
    }

    #[test]
    fn a_release_is_found_by_the_images_and_commits_of_its_records_and_of_its_environment() {
        const DIGESTS: [&str; 2] = [
            "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
            "sha256:3d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
        ];
        let record = serde_json::json!({
            "versionInfo": {"id": "r", "productEnvInfo": {
                "env_name": "prod", "services": [[{"containers": [{"image": "reg:5000/x"}]}], null]}},
            "buildInfo": [
                {"imageName": "reg/b:1", "imageInfo": {"imageDigest": DIGESTS[0]},
                    "commits": [{"commit_id": "4B15C43E2D"}, {"commit_id": "4b15c43f"}, {"commit_id": "main"}]},
                {"imageName": 7, "imageInfo": null, "commits": null},
                {"imageName": "reg/gone:1", "deleted_at": 1},
            ],
            "deployInfo": [{"image": format!("reg/d:2@{}", DIGESTS[1])}],
            "distributeInfo": [{"registryName": "reg/e:3", "subDistributes": [
                {"registryName": "reg/f:4"}, {"registryName": "reg/gone:4", "deleted_at": 9}, "x"]}],
        });
        let in_b = format!("image reg/b@{}", DIGESTS[0]);
        let in_d = format!("image reg/d@{}", DIGESTS[1]);
        let digests = DIGESTS.map(|digest| format!("image {digest}"));
        assert_eq!(
            found_by(&check(&record.to_string()).unwrap()),
            [
                "image reg/b:1",
                &in_b,
                "image reg/d:2",
                &in_d,
                "image reg/e:3",
                "image reg/f:4",
                "image reg:5000/x",
                &digests[0],
                &digests[1],
                "commit 4b15c43e2d",
                "commit 4b15c43f",
                "env prod",
            ]
        );
    }

    #[test]
    fn services_are_distinct_and_sorted() {
        let deploys = r#","deployInfo":[{"serviceName":"b"},{"serviceName":"a/c","containerName":"c"},{"serviceName":"b"}]"#;
        assert_eq!(services(&release("", deploys).unwrap()), ["a", "b"]);
    }

    #[test]
    fn a_soft_deleted_deploy_does_not_count_as_a_service() {
        let deploys = r#","deployInfo":[{"serviceName":"gone","deleted_at":1},{"serviceName":"here"}]"#;
        assert_eq!(services(&release("", deploys).unwrap()), ["here"]);
    }

    #[test]
    fn a_service_name_is_answered_with_its_container_and_found_without_it() {
        let nginx = || (r#""nginx/web""#.to_owned(), vec!["nginx".to_owned()]);
        assert_eq!(deploy_name(r#""nginx""#, r#""web""#), nginx());
        assert_eq!(deploy_name(r#""nginx/web""#, r#""web""#), nginx());
        assert_eq!(deploy_name(r#""nginx""#, r#""""#), (r#""nginx""#.to_owned(), vec!["nginx".to_owned()]));
        assert_eq!(deploy_name(r#""nginx""#, "null").0, r#""nginx""#);
        assert_eq!(deploy_name(r#""web""#, r#""web""#), (r#""web/web""#.to_owned(), vec!["web".to_owned()]));
        assert_eq!(deploy_name(r#""a/b/web""#, r#""web""#).1, ["a/b"]);
    }

    #[test]
    fn a_service_name_has_one_form_however_it_was_escaped() {
        let displayed = r#""é\"/w/😀""#;
        assert_eq!(
            deploy_name(r#""\u00e9\"""#, r#""w\/\ud83d\ude00""#),
            (displayed.to_owned(), vec!["é\"".to_owned()])
        );
        assert_eq!(
            deploy_name(displayed, r#""w\/\ud83d\ude00""#),
            (displayed.to_owned(), vec!["é\"".to_owned()])
        );
    }

    #[test]
    fn an_empty_service_name_is_no_service() {
        assert_eq!(deploy_name(r#""""#, r#""web""#), (r#""/web""#.to_owned(), vec![]));
        assert_eq!(deploy_name(r#""/web""#, r#""web""#), (r#""/web""#.to_owned(), vec![]));
        assert_eq!(deploy_name("null", r#""web""#), ("null".to_owned(), vec![]));
    }

    #[test]
    fn credentials_are_dropped_from_build_commits_and_counted() {
        let builds = r#","buildInfo":[{"commits":[{"oauth_token":"t","repo":"r","password":"p","submodules":{"ssh_key":"k","username":""}},{}]}],"password":"kept""#;
        let release = release("", builds).unwrap();
        assert_eq!(release.credentials_dropped, 3);
        assert!(
            release.sections.starts_with(
                r#""buildInfo":[{"commits":[{"oauth_token":"","repo":"r","submodules":{}},{}]}],"#
            )
        );
        assert!(release.sections.ends_with(r#","password":"kept""#));
    }

    #[test]
    fn credentials_are_dropped_anywhere_below_a_build() {
        let builds = r#","buildInfo":[{"issues":[{"key":"A-1","password":"p"}],"subBuilds":[{"commits":[{"ssh_key":"k"}]}],"username":"u","oauth_token":"t"}],"testInfo":[{"username":"kept"}]"#;
        let found = release("", builds).unwrap();
        assert_eq!(found.credentials_dropped, 4);
        assert!(found.sections.starts_with(
            r#""buildInfo":[{"issues":[{"key":"A-1"}],"subBuilds":[{"commits":[{}]}],"oauth_token":""}],"#
        ));
        assert!(found.sections.contains(r#""testInfo":[{"username":"kept"}]"#));
    }

    #[test]
    fn task_ids_are_64_bit_integers_signed_or_unsigned() {
        let task_id =
            |text: &str| release(&format!(r#","taskId":{text}"#), "").map(|release| found_by(&release));
        assert_eq!(task_id("0"), Ok(vec![]));
        assert_eq!(task_id("-0"), Ok(vec![]));
        // Nobody can ask for a negative one.
        assert_eq!(task_id("-7"), Ok(vec![]));
        assert_eq!(task_id("18446744073709551615"), Ok(vec!["task 18446744073709551615".to_owned()]));
        assert!(task_id("18446744073709551616").is_err());
    }

    #[test]
    fn times_are_unix_seconds() {
        let created_at =
            |text: &str| release(&format!(r#","created_at":{text}"#), "").map(|release| release.created_at);
        assert_eq!(created_at("999999999999"), Ok(999_999_999_999));
        assert_eq!(
            created_at("1637726888000").unwrap_err(),
            "$.versionInfo.created_at: expected Unix seconds, 0 to 999999999999, found 1637726888000, which looks like milliseconds"
        );
        assert_eq!(
            created_at("-1").unwrap_err(),
            "$.versionInfo.created_at: expected Unix seconds, 0 to 999999999999, found -1"
        );
        assert!(created_at("1637726888000000000").unwrap_err().ends_with("found 1637726888000000000"));
        assert!(sections(r#","deployInfo":[{"created_at":1637726888000}]"#).contains("1637726888000"));
    }

    #[test]
    fn version_fields_of_another_type_are_refused_with_their_path() {
        for (version_info, expected) in [
            (r#","taskId":"1""#, "$.versionInfo.taskId: expected an integer, found a string"),
            (
                r#","taskId":1.0"#,
                "$.versionInfo.taskId: expected an integer, found a number with a fraction or an exponent",
            ),
            (r#","desc":false"#, "$.versionInfo.desc: expected a string, found a boolean"),
            (r#","labels":"x""#, "$.versionInfo.labels: expected a list, found a string"),
            (r#","labels":["a",1]"#, "$.versionInfo.labels[1]: expected a string, found a number"),
            (r#","productEnvInfo":[]"#, "$.versionInfo.productEnvInfo: expected an object, found a list"),
            (
                r#","productEnvInfo":{"enabled":0}"#,
                "$.versionInfo.productEnvInfo.enabled: expected true or false, found a number",
            ),
            (
                r#","productEnvInfo":{"services":[{}]}"#,
                "$.versionInfo.productEnvInfo.services[0]: expected a list, found an object",
            ),
            (
                r#","productEnvInfo":{"services":[[],[{},{"render":{"revision":"1"}}]]}"#,
                "$.versionInfo.productEnvInfo.services[1][1].render.revision: expected an integer, found a string",
            ),
            (
                r#","productEnvInfo":{"services":[[{"containers":[{"image":1}]}]]}"#,
                "$.versionInfo.productEnvInfo.services[0][0].containers[0].image: expected a string, found a number",
            ),
            (
                r#","productEnvInfo":{"vars":[{"value":{}}]}"#,
                "$.versionInfo.productEnvInfo.vars[0].value: expected a string, found an object",
            ),
            (
                r#","productEnvInfo":{"vars":[null]}"#,
                "$.versionInfo.productEnvInfo.vars[0]: expected an object, found null",
            ),
        ] {
            assert_eq!(problem(version_info, ""), expected);
        }
    }

    #[test]
    fn section_fields_of_another_type_are_refused_with_their_path() {
        for (rest, expected) in [
            (r#","deployInfo":{}"#, "$.deployInfo: expected a list, found an object"),
            (r#","deployInfo":[[]]"#, "$.deployInfo[0]: expected an object, found a list"),
            (
                r#","deployInfo":[{"yamlContents":["a",{}]}]"#,
                "$.deployInfo[0].yamlContents[1]: expected a string, found an object",
            ),
            (
                r#","deployInfo":[{"serviceName":1}]"#,
                "$.deployInfo[0].serviceName: expected a string, found a number",
            ),
            (
                r#","deployInfo":[{},{"serviceName":"a","containerName":1}]"#,
                "$.deployInfo[1].containerName: expected a string, found a number",
            ),
            (
                r#","deployInfo":[{"deleted_at":"0"}]"#,
                "$.deployInfo[0].deleted_at: expected an integer, found a string",
            ),
            (r#","buildInfo":[null]"#, "$.buildInfo[0]: expected an object, found null"),
            (r#","buildInfo":[{"commits":{}}]"#, "$.buildInfo[0].commits: expected a list, found an object"),
            (
                r#","buildInfo":[{"commits":[{},"x"]}]"#,
                "$.buildInfo[0].commits[1]: expected an object, found a string",
            ),
            (
                r#","testInfo":[{"start_time":true}]"#,
                "$.testInfo[0].start_time: expected an integer, found a boolean",
            ),
            (
                r#","distributeInfo":[{"releaseId":[]}]"#,
                "$.distributeInfo[0].releaseId: expected a string, found a list",
            ),
            (r#","securityStatsInfo":[1]"#, "$.securityStatsInfo[0]: expected an object, found a number"),
        ] {
            assert_eq!(problem("", rest), expected);
        }
    }
}
