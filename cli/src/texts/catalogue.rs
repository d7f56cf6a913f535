//! Long on purpose: every sentence is in this one list, so that a translator has one place to look.
//!
//! A value in braces is a fact the caller gives. Labels of the notes below an error are short.

macro_rules! catalogue {
    ($( $name:ident = $en:literal, $fr:literal; )*) => {
        /// A sentence, in both languages. Alphabetical within its group.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Text { $( $name, )* }

        impl Text {
            /// Every one of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// English and French.
            pub(super) const fn pair(self) -> (&'static str, &'static str) {
                match self { $( Self::$name => ($en, $fr), )* }
            }
        }
    };
}

catalogue! {
    // Labels beside notes.
    LabelAgreed = "agreed", "convenu";
    LabelAllowed = "allowed", "permis";
    LabelBecause = "because", "parce que";
    LabelDo = "do", "à faire";
    LabelExit = "exit", "code";
    LabelFacts = "facts", "faits";
    LabelFault = "fault", "faute";
    LabelFields = "fields", "champs";
    LabelGrpc = "gRPC", "gRPC";
    LabelMethods = "methods", "méthodes";
    LabelMore = "more", "voir";
    LabelNear = "perhaps", "peut-être";
    LabelReason = "reason", "motif";
    LabelRule = "rule", "règle";
    LabelSteward = "steward", "gardien";
    LabelWho = "by", "par";

    // Headings.
    HeadAddress = "address", "adresse";
    HeadAddresses = "addresses", "adresses";
    HeadAdmitted = "admitted", "admission";
    HeadAgreements = "agreements", "ententes";
    HeadBasis = "by law", "en vertu de";
    HeadBody = "body", "organisme";
    HeadAsked = "asked", "demandés";
    HeadBetween = "between", "entre";
    HeadCallers = "callers", "appelants";
    HeadClass = "class", "catégorie";
    HeadClause = "clause", "clause";
    HeadEntries = "entries", "entrées";
    HeadFingerprint = "fingerprint", "empreinte";
    HeadFrom = "from", "du";
    HeadGenesis = "first", "premier";
    HeadHere = "here", "ici";
    HeadHash = "hash", "empreinte";
    HeadOver = "over", "visant";
    HeadHolds = "holds", "contient";
    HeadJurisdiction = "jurisdiction", "administration";
    HeadKey = "key", "clé";
    HeadLedger = "ledger", "journal";
    HeadLimits = "only", "seulement";
    HeadMeaning = "meaning", "signification";
    HeadMember = "member", "membre";
    HeadMembers = "members", "membres";
    HeadMethod = "method", "méthode";
    HeadMethods = "methods", "méthodes";
    HeadName = "name", "nom";
    HeadNewest = "newest", "dernier";
    HeadParties = "parties", "parties";
    HeadParty = "party", "partie";
    HeadPurpose = "purpose", "fin";
    HeadPurposes = "purposes", "fins";
    HeadReason = "reason", "motif";
    HeadReceived = "received", "reçue";
    HeadRecords = "records", "fiches";
    HeadReleased = "released", "communiqués";
    HeadRetired = "retired", "retiré";
    HeadRole = "role", "rôle";
    HeadRoot = "root", "racine";
    HeadServer = "server", "serveur";
    HeadServers = "servers", "serveurs";
    HeadService = "service", "service";
    HeadServices = "services", "services";
    HeadSigned = "signed", "signé";
    HeadSize = "size", "taille";
    HeadStamped = "stamped", "horodaté";
    HeadStanding = "standing", "statut";
    HeadRegistry = "registry", "registre";
    HeadOrigin = "from", "origine";
    HeadState = "state", "état";
    HeadSuspendedBy = "halted by", "arrêtée par";
    HeadSystems = "systems", "systèmes";
    HeadTerm = "term", "durée";
    HeadTitle = "title", "titre";
    HeadTorn = "torn", "coupé";
    HeadUntil = "until", "au";
    HeadValue = "value", "valeur";
    HeadVersion = "version", "version";

    // Who must act.
    AtAdapter = "the provider's adapter", "l’adaptateur du fournisseur";
    AtCaller = "you, the system that asks", "vous, le système qui demande";
    AtCallerServer = "your own security server", "votre propre serveur de sécurité";
    AtProviderServer = "the provider's security server", "le serveur de sécurité du fournisseur";
    AtRegistry = "the registry", "le registre central";
    AtSource = "the provider's source", "la source du fournisseur";

    // States.
    StateActive = "in force", "en vigueur";
    StateDown = "down", "arrêté";
    StateExpired = "expired", "expirée";
    StateProposed = "awaiting signature", "à signer";
    StateReady = "ready", "prêt";
    StateRevoked = "revoked", "révoquée";
    StateSuperseded = "superseded", "remplacée";
    StateSuspended = "suspended", "suspendue";

    // help
    NoSuchTopic = "there is no command and no reason called {topic}",
        "aucune commande ni aucun motif ne s’appelle {topic}";

    // From whose desk.
    NoDesk = "this needs to know whose desk it is at: no {file} in this folder",
        "il faut savoir au nom de qui agir : aucun {file} dans ce dossier";
    RegistrySilent = "The registry does not answer. This is from your own verified copy: {size} changes, the newest of {at}.",
        "Le registre central ne répond pas. Ceci vient de votre propre copie vérifiée : {size} changements, le dernier du {at}.";
    UsingSandbox = "Using the sandbox in this folder: {file}",
        "D’après le bac à sable de ce dossier : {file}";

    // call
    AgreedIs = "{agreement}: purposes {purposes}; elements {elements}",
        "{agreement} : fins {purposes}; éléments {elements}";
    CallDryRun = "Would send {bytes} bytes to {method} of {to}, through {server}. Nothing was sent.",
        "Enverrait {bytes} octets à {method} de {to}, par {server}. Rien n’a été envoyé.";
    CallLogged = "Logged on both sides as transaction {transaction}.",
        "Consigné des deux côtés : transaction {transaction}.";
    DataUnreadable = "the request in {from} cannot be read",
        "la demande dans {from} est illisible";
    LoggedAs = ", transaction {transaction}", ", transaction {transaction}";
    MoreAbout = "entente help {code}        en français : --lang fr",
        "entente help {code}        in English: --lang en";
    NoCaller = "which system asks? Name it with --from, or its security server with --server",
        "quel système demande? Nommez-le avec --from, ou son serveur de sécurité avec --server";
    NoSuchService = "{member} does not offer {service}",
        "{member} n’offre pas {service}";
    Refused = "refused: {what} [{code}]", "refusé : {what} [{code}]";
    ServerSilent = "your security server does not answer at {server}",
        "votre serveur de sécurité ne répond pas à {server}";

    // agreement
    AgreementAccepted = "{member} accepted {name} version {version} (registry entry {index}).",
        "{member} a accepté {name} version {version} (entrée {index} du registre central).";
    AgreementAwaits = "Still to sign: {missing}.", "Signatures attendues : {missing}.";
    AgreementFaulty = "the agreement has {count} of the faults auditors find; nothing was signed",
        "l’entente présente {count} des défauts que relèvent les vérificateurs; rien n’a été signé";
    AgreementHeld = "It is still suspended by {members}.", "Elle est encore suspendue par {members}.";
    AgreementHeldByOthers = "the agreement is suspended by {members}, who alone can lift that",
        "l’entente est suspendue par {members}, qui seul peut lever cela";
    AgreementHeldDo = "ask {members}", "adressez-vous à {members}";
    AgreementIs = "It is now {state}.", "Elle est maintenant {state}.";
    AgreementOutlives = "Warning: the agreement lasts longer than a service that it names. {ends}.",
        "Attention : l’entente dure plus longtemps qu’un service qu’elle nomme. {ends}.";
    AgreementProposed = "{member} signed and proposed {name} version {version} (registry entry {index}).",
        "{member} a signé et proposé {name} version {version} (entrée {index} du registre central).";
    AgreementResumed = "{member} lifted its suspension of {name} version {version} (registry entry {index}).",
        "{member} a levé sa suspension de {name} version {version} (entrée {index} du registre central).";
    AgreementResumedAlready = "{member} does not hold {name} version {version} suspended; nothing was changed.",
        "{member} ne suspend pas {name} version {version}; rien n’a été changé.";
    AgreementRevoked = "{member} revoked {name} version {version} (registry entry {index}). The next call under it is refused.",
        "{member} a révoqué {name} version {version} (entrée {index} du registre central). Le prochain appel sera refusé.";
    AgreementSound = "{name} has none of the five faults. Its hash is {hash}.",
        "{name} ne présente aucun des cinq défauts. Son empreinte est {hash}.";
    AgreementSuspended = "{member} suspended {name} version {version} (registry entry {index}). Calls under it are refused until `entente agreement resume`.",
        "{member} a suspendu {name} version {version} (entrée {index} du registre central). Les appels sont refusés jusqu’à `entente agreement resume`.";
    AgreementSuspendedAlready = "{member} had suspended {name} version {version} already; nothing was changed.",
        "{member} avait déjà suspendu {name} version {version}; rien n’a été changé.";
    HasSigned = "signed", "signée";
    InClause = "(clause {clause})", "(clause {clause})";
    NoAgreements = "The registry holds no agreement.", "Le registre central ne contient aucune entente.";
    NoSuchAgreement = "the registry holds no such agreement",
        "le registre central ne contient pas cette entente";
    NotSigned = "not signed", "non signée";
    SignedAlready = "{member} has signed it already", "{member} l’a déjà signée";

    // member, server, service, registry
    AddressNeeded = "peers cannot reach {listen}: say how they do",
        "les pairs ne peuvent pas joindre {listen} : dites comment ils le peuvent";
    CertificateWritten = "The certificates are in {file}, valid until {until}.",
        "Les certificats sont dans {file}, valides jusqu’au {until}.";
    FingerprintAsk = "Applied on {received}. Have the applicant read their fingerprint to you by telephone, and type it:",
        "Demande du {received}. Faites-vous lire l’empreinte par téléphone, et tapez-la :";
    FingerprintDiffers = "this is not the application's fingerprint: nothing was approved",
        "ce n’est pas l’empreinte de la demande : rien n’a été approuvé";
    FingerprintNeeded = "a registrar must compare the fingerprint with the applicant",
        "un registraire doit comparer l’empreinte avec le demandeur";
    KeyAdded = "{member} has another {role} key, {key} (registry entry {index}): it is {file}.",
        "{member} a une autre clé ({role}), {key} (entrée {index} du registre central) : c’est {file}.";
    KeyAddedAlready = "{file} is the {role} key {key} of {member} already; nothing was changed.",
        "{file} est déjà la clé ({role}) {key} de {member}; rien n’a été changé.";
    KeyAddedNext = "Move it into {folder}: of the keys there, the newest in force is used.",
        "Déplacez-la dans {folder} : des clés qui s’y trouvent, la plus récente en vigueur sert.";
    KeyAway = "neither a recovery key in force nor the key itself is in {folder}",
        "ni une clé de recouvrement en vigueur ni la clé elle-même ne sont dans {folder}";
    KeyAwayDo = "put the recovery key into {folder} for this act, and take it away afterwards",
        "mettez la clé de recouvrement dans {folder} pour cet acte, et retirez-la ensuite";
    KeyInForce = "in force", "en vigueur";
    KeyLast = "{key} is the last {role} key in force; nothing was revoked",
        "{key} est la dernière clé ({role}) en vigueur; rien n’a été révoqué";
    KeyLastDo = "add another first: entente member keys add; or revoke it all the same with --yes",
        "ajoutez-en d’abord une autre : entente member keys add; ou révoquez-la quand même avec --yes";
    KeyRevoked = "The {role} key {key} of {member} is revoked (registry entry {index}). It signs nothing more.",
        "La clé ({role}) {key} de {member} est révoquée (entrée {index} du registre central). Elle ne signe plus rien.";
    KeyRevokedAlready = "The {role} key {key} of {member} was revoked already; nothing was changed.",
        "La clé ({role}) {key} de {member} était déjà révoquée; rien n’a été changé.";
    KeysWhose = "whose keys? This desk is a registry’s", "les clés de qui? Ce bureau est celui d’un registre central";
    KeyUnheld = "{member} never had a key {key}", "{member} n’a jamais eu de clé {key}";
    MemberAdmitted = "{member} is admitted (registry entry {index}).",
        "{member} est admis (entrée {index} du registre central).";
    MemberApplied = "{member} has applied. Read this fingerprint to the registrar by telephone:",
        "{member} a présenté sa demande. Lisez cette empreinte au registraire par téléphone :";
    MemberAppliedNext = "The registrar approves it with: entente member approve",
        "Le registraire l’approuve avec : entente member approve";
    MemberEndAsk = "nothing was ended yet, and an ended membership never comes back. {member}: servers: {servers}; agreements in force: {agreements}",
        "rien n’a encore pris fin, et une adhésion terminée ne revient jamais. {member} : serveurs : {servers}; ententes en vigueur : {agreements}";
    MemberEndAskDo = "say it again with --yes; `entente member suspend` can be undone",
        "redites-le avec --yes; `entente member suspend` peut se défaire";
    MandateEnded = "The mandate of {body} ends at {until} (registry entry {index}). From then on it reads nothing.",
        "Le mandat de {body} prend fin le {until} (entrée {index} du registre central). Dès lors, il ne lit plus rien.";
    MandateEndedAlready = "The mandate of {body} ended, or was to end, at {until} already; nothing was changed.",
        "Le mandat de {body} a pris, ou devait prendre, fin le {until} déjà; rien n’a été changé.";
    MandateGranted = "{body} has a mandate until {until} (registry entry {index}). Each of its readings is logged where it reads.",
        "{body} a un mandat jusqu’au {until} (entrée {index} du registre central). Chacune de ses lectures est consignée là où il lit.";
    MandateGrantedAlready = "{body} has this mandate already; nothing was changed.",
        "{body} a déjà ce mandat; rien n’a été changé.";
    MandateNone = "No body of oversight ever had a mandate here.",
        "Aucun organisme de surveillance n’a jamais eu de mandat ici.";
    MandateUnheld = "{body} has no mandate",
        "{body} n’a pas de mandat";
    MemberEnded = "The membership of {member} has ended (registry entry {index}). Its name is not given again.",
        "L’adhésion de {member} a pris fin (entrée {index} du registre central). Son nom n’est plus attribué.";
    MemberEndedAlready = "The membership of {member} had ended already; nothing was changed.",
        "L’adhésion de {member} avait déjà pris fin; rien n’a été changé.";
    MemberResumed = "{member} is suspended no longer (registry entry {index}). Its calls, and those to it, are taken again.",
        "{member} n’est plus suspendu (entrée {index} du registre central). Ses appels, et ceux qu’il reçoit, passent de nouveau.";
    MemberResumedAlready = "{member} was not suspended; nothing was changed.",
        "{member} n’était pas suspendu; rien n’a été changé.";
    MemberSuspended = "{member} is suspended (registry entry {index}). Its calls, and those to it, are refused until `entente member resume`.",
        "{member} est suspendu (entrée {index} du registre central). Ses appels, et ceux qu’il reçoit, sont refusés jusqu’à `entente member resume`.";
    MemberSuspendedAlready = "{member} was suspended already; nothing was changed.",
        "{member} était déjà suspendu; rien n’a été changé.";
    MembershipOver = "the membership of {member} has ended, and stays so",
        "l’adhésion de {member} a pris fin, et c’est pour de bon";
    MembershipOverDo = "the institution applies anew, under another name: entente member apply",
        "l’institution présente une nouvelle demande, sous un autre nom : entente member apply";
    NoApplication = "no application of {member} is pending",
        "aucune demande de {member} n’est en attente";
    NoSuchMember = "the registry holds no member {member}",
        "le registre central n’a aucun membre {member}";
    NoSuchServer = "the registry holds no server {server}",
        "le registre central n’a aucun serveur {server}";
    NothingPending = "No application is pending.", "Aucune demande n’est en attente.";
    PolicyAlready = "The policy says that already; nothing was changed.",
        "La politique le dit déjà; rien n’a été changé.";
    PolicyCosigned = "A server stops when its ledger’s newest cosigned checkpoint is older than {value}.",
        "Un serveur s’arrête quand le plus récent point de contrôle cosigné de son journal a plus de {value}.";
    PolicyFreshness = "A connected server’s copy of the registry is at most {value} old.",
        "La copie du registre central d’un serveur connecté a au plus {value}.";
    PolicyProtocol = "Servers speak protocol version {value} or newer.",
        "Les serveurs parlent la version {value} du protocole, ou une plus récente.";
    PolicyPurposes = "An agreement may name these purposes: {value}",
        "Une entente peut nommer ces fins : {value}";
    PolicyOwnWitnesses = "Which witnesses cosign the registry’s own checkpoints:",
        "Quels témoins cosignent les points de contrôle du registre central :";
    PolicyOwnWitnessesNone = "No witnesses cosign the registry’s own checkpoints.",
        "Aucun témoin ne cosigne les points de contrôle du registre central.";
    PolicyQuorum = "So many witnesses must cosign the registry’s ledger before a permissive change is believed: {value}.",
        "Nombre de témoins qui doivent cosigner le journal du registre central avant qu’on croie un changement permissif : {value}.";
    PolicySet = "Change {index}: the policy is in force.", "Changement {index} : la politique est en vigueur.";
    PolicyStamped = "A server stops when its newest time stamp is older than {value}.",
        "Un serveur s’arrête quand son plus récent horodatage a plus de {value}.";
    PolicyStampedNever = "A server goes on without time stamps.", "Un serveur continue sans horodatage.";
    PolicySuites = "Seals are of: {value}.", "Les sceaux sont de : {value}.";
    PolicyTagged = "Up to {value} subjects of an exchange are named one by one; beyond, everybody finds it.",
        "Jusqu’à {value} personnes visées par un échange sont nommées une à une; au-delà, tous le trouvent.";
    PolicyValidity = "A server goes on for at most {value} without the registry.",
        "Un serveur continue au plus {value} sans le registre central.";
    PolicyWeaker = "the policy would ask less than the one in force: {fields}; nothing was changed",
        "la politique demanderait moins que celle en vigueur : {fields}; rien n’a été changé";
    PolicyWeakerDo = "asking less takes a quorum of the registrars ({quorum}) and seven days’ notice: --propose puts it to them",
        "demander moins exige un quorum des registraires ({quorum}) et un préavis de sept jours : --propose le leur soumet";
    PolicyWitnesses = "Which witnesses cosign the ledgers of servers:",
        "Quels témoins cosignent les journaux des serveurs :";
    PolicyWitnessesNone = "No witnesses cosign the ledgers of servers.",
        "Aucun témoin ne cosigne les journaux des serveurs.";
    RegistryAnswers = "(answers)", "(répond)";
    RegistryCopied = "{size} changes are in {dir}, and what they rest on.",
        "{size} changements se trouvent dans {dir}, avec ce sur quoi ils reposent.";
    RegistryDoesNot = "(does not answer)", "(ne répond pas)";
    RegistryTaken = "Taken over: {size} changes, {recovered} of them from the folder of the registry before.",
        "Reprise faite : {size} changements, dont {recovered} du dossier du registre précédent.";
    RegistryTakenNext = "Now: entente serve registry --config {config}",
        "Maintenant : entente serve registry --config {config}";
    TakeoverBehind = "give the data folder of the registry before (--fence), or a copy that has these changes: each follower has one",
        "indiquer le dossier de données du registre précédent (--fence) ou une copie qui a ces changements : chaque serveur qui suit en a une";
    TakeoverRunning = "stop the registry before, and the standby",
        "arrêter le registre précédent et le serveur de secours";
    TakeoverSilent = "try again when the witnesses answer; nothing can be taken over without them",
        "réessayer quand les témoins répondent; aucune reprise n’est possible sans eux";
    TakeoverUnfenced = "give the data folder of the registry before (--fence); if it is gone, --accept-loss",
        "indiquer le dossier de données du registre précédent (--fence); s’il n’existe plus, --accept-loss";
    RegistryExists = "there is a registry here already; nothing was changed",
        "il y a déjà un registre central ici; rien n’a été changé";
    RegistryMade = "The registry of {jurisdiction} is made. Others start from {anchor}; compare its first change with them:",
        "Le registre central de {jurisdiction} est créé. Les autres partent de {anchor}; comparez avec eux son premier changement :";
    RegistryMadeNext = "The operator's key is in {keys}: move it away. Start with: entente serve registry --config {config}",
        "La clé de l’exploitant est dans {keys} : mettez-la ailleurs. Démarrez : entente serve registry --config {config}";
    RegistryNeeds = "{file} is not there: say whose registry it is, and where it listens",
        "{file} n’existe pas : dites de quelle administration est ce registre, et où il écoute";
    ServerKeyAway = "the newest TLS or HPKE key in the folder of {server} is not registered; without the old one it would have none",
        "la plus récente clé TLS ou HPKE du dossier de {server} n’est pas inscrite; sans l’ancienne, il n’en aurait aucune";
    ServerKeyAwayDo = "register it first, without --drop-old-keys, and restart the server",
        "l’inscrire d’abord, sans --drop-old-keys, puis redémarrer le serveur";
    ServerKeyMade = "The next key lies in {keys} as {file}. Its fingerprint: {fingerprint}",
        "La prochaine clé est dans {keys} sous {file}. Son empreinte : {fingerprint}";
    ServerKeyMadeNext = "Now register it beside the present one: entente server update {server} --keys-of FILE",
        "Inscrivez-la maintenant à côté de l’actuelle : entente server update {server} --keys-of FICHIER";
    ServerKeyShown = "{server} runs and shows another TLS key than the newest of its folder: peers would refuse it",
        "{server} fonctionne et montre une autre clé TLS que la plus récente de son dossier : les pairs le refuseraient";
    ServerKeyShownDo = "restart the server, then drop the old keys: systemctl restart entente@security-server",
        "redémarrer le serveur, puis retirer les anciennes clés : systemctl restart entente@security-server";
    ServerKeysOther = "this configuration is of {found}, not of {server}",
        "cette configuration est celle de {found}, non de {server}";
    ServerRegistered = "{server} is registered (registry entry {index}).",
        "{server} est inscrit (entrée {index} du registre central).";
    ServerUpdated = "{server} is changed (registry entry {index}).",
        "{server} est changé (entrée {index} du registre central).";
    ServerUpdatedAlready = "{server} is registered so already; nothing was changed.",
        "{server} est déjà inscrit ainsi; rien n’a été changé.";
    ServiceEnded = "{member} has ended {service} already: its end is not moved or taken back any more",
        "{member} a déjà mis fin à {service} : cette fin ne se déplace ni ne s’annule plus";
    ServiceEnds = "{member} retires {service} from {at} on", "{member} retire {service} à compter du {at}";
    ServiceKept = "{service} is not going to be retired (registry entry {index}).",
        "{service} ne sera pas retiré (entrée {index} du registre central).";
    ServiceKeptAlready = "{service} was not going to be retired; nothing was changed.",
        "{service} n’allait pas être retiré; rien n’a été changé.";
    ServicePublished = "{service} is published (registry entry {index}). Its descriptor set is {hash}.",
        "{service} est publié (entrée {index} du registre central). Son contrat est {hash}.";
    ServiceRetired = "{service} is retired (registry entry {index}). Calls of it are refused until it is published again.",
        "{service} est retiré (entrée {index} du registre central). Ses appels sont refusés jusqu’à ce qu’il soit publié de nouveau.";
    ServiceRetiredAlready = "{service} was retired already; nothing was changed.",
        "{service} était déjà retiré; rien n’a été changé.";
    ServiceSunset = "{service} will be retired from {at} on (registry entry {index}). Until then its calls go on, and everybody sees it coming.",
        "{service} sera retiré à compter du {at} (entrée {index} du registre central). D’ici là, ses appels se poursuivent, et chacun en est averti.";
    ServiceSunsetAlready = "{service} was to be retired from {at} on already; nothing was changed.",
        "{service} devait déjà être retiré à compter du {at}; rien n’a été changé.";
    ServiceUnknown = "nobody offers {service}", "personne n’offre {service}";
    SessionsNotYet = "{at} is still to come: nothing is revoked ahead of time, since it could not be taken back",
        "{at} est encore à venir : rien n’est révoqué d’avance, car cela ne pourrait se défaire";
    SessionsNotYetDo = "leave --before away, to revoke what was issued until now",
        "omettez --before, pour révoquer ce qui fut délivré jusqu’à maintenant";
    SessionsRevoked = "The sessions of {server} issued before {before} are revoked (registry entry {index}). It begins another by itself.",
        "Les sessions de {server} délivrées avant {before} sont révoquées (entrée {index} du registre central). Il en commence une autre de lui-même.";
    SessionsRevokedAlready = "The sessions of {server} issued before {before} were revoked already; nothing was changed.",
        "Les sessions de {server} délivrées avant {before} étaient déjà révoquées; rien n’a été changé.";

    // join
    JoinElsewhere = "{member} is not a name that the registry of {jurisdiction} gives",
        "{member} n’est pas un nom que donne le registre de {jurisdiction}";
    JoinFingerprint = "  {fingerprint}", "  {fingerprint}";
    JoinNeeds = "say who joins", "dites qui adhère";
    JoinNotYet = "the registrar has not admitted {member} yet",
        "le registraire n’a pas encore admis {member}";
    JoinNotYetDo = "run the command again: it goes on from here",
        "lancez la commande de nouveau : elle reprendra ici";
    JoinSystem = "`{system}` is no name of a system: lower-case letters, digits and hyphens",
        "`{system}` n’est pas un nom de système : minuscules, chiffres et traits d’union";
    JoinWaits = "Waiting for the registrar: entente member approve {member} --fingerprint \"…\"",
        "En attente du registraire : entente member approve {member} --fingerprint \"…\"";
    JoinWrote = "Wrote {file}.", "{file} a été écrit.";
    Joined = "{member} is admitted, and {server} is registered.",
        "{member} est admis, et {server} est inscrit.";
    JoinedAlready = "{member} was admitted and {server} was registered already; nothing was changed.",
        "{member} était déjà admis et {server} déjà inscrit; rien n’a été changé.";
    JoinedNext = "Start it: entente serve security-server --config {file}",
        "Démarrez-le : entente serve security-server --config {file}";

    // registry proposals
    NoProposals = "Nothing is proposed.", "Rien n’est proposé.";
    ProposalAgreedAlready = "This registrar had agreed already; nothing was changed.",
        "Ce registraire avait déjà donné son accord; rien n’a été changé.";
    ProposalHasNotice = "Agreed (registry entry {index}). It takes effect on {at}; until then any registrar may withdraw it.",
        "Accord donné (entrée {index} du registre central). Il prend effet le {at}; d’ici là, tout registraire peut le retirer.";
    ProposalInEffect = "Agreed, and in effect (registry entry {index}).",
        "Accord donné, et en vigueur (entrée {index} du registre central).";
    ProposalNeedsMore = "Agreed (registry entry {index}). Other registrars have to agree, too.",
        "Accord donné (entrée {index} du registre central). D’autres registraires doivent aussi donner le leur.";
    ProposalTabled = "Proposed, and not in effect yet: the other registrars decide with `entente registry approve {hash}`.",
        "Proposé, et pas encore en vigueur : les autres registraires décident avec `entente registry approve {hash}`.";
    ProposalUnknown = "nothing of the hash {hash} is proposed",
        "rien n’est proposé sous l’empreinte {hash}";
    ProposalWithdrawn = "The proposal is withdrawn (registry entry {index}).",
        "La proposition est retirée (entrée {index} du registre central).";
    RegistrarsAlready = "These are the registrars already; nothing was changed.",
        "Ce sont déjà les registraires; rien n’a été changé.";
    RegistrarsQuorum = "{quorum} of {count} registrars decide together.",
        "{quorum} registraires sur {count} décident ensemble.";

    // registry ledger-key
    LedgerKeyAlready = "This key is in office, or this registrar agreed to it already; nothing was changed.",
        "Cette clé est en fonction, ou ce registraire avait déjà donné son accord; rien n’a été changé.";
    LedgerKeyAnchor = "Wrote {file}, which names the key in office: {key}",
        "{file} est écrit, et nomme la clé en fonction : {key}";
    LedgerKeyInOffice = "In office (registry entry {index}): the registry signs with {fingerprint} from there on.",
        "En fonction (entrée {index} du registre central) : le registre signe désormais avec {fingerprint}.";
    LedgerKeyMade = "The next ledger key lies in {keys} as {label}. Its fingerprint: {fingerprint}",
        "La prochaine clé du journal est dans {keys} sous {label}. Son empreinte : {fingerprint}";
    LedgerKeyMadeNext = "Read it to the registrars. One proposes it with `entente registry ledger-key propose`; the registry takes it up by itself.",
        "Lisez-la aux registraires. L’un d’eux la propose avec `entente registry ledger-key propose`; le registre la prend en compte de lui-même.";
    LedgerKeyNone = "no key that could take office lies in {keys}",
        "aucune clé qui pourrait entrer en fonction ne se trouve dans {keys}";
    LedgerKeyOffered = "Its fingerprint: {fingerprint}. A registrar proposes it with `entente registry ledger-key propose --offer …`.",
        "Son empreinte : {fingerprint}. Un registraire la propose avec `entente registry ledger-key propose --offer …`.";
    LedgerKeyProposed = "The key {fingerprint} is proposed, or agreed to (registry entry {index}).",
        "La clé {fingerprint} est proposée, ou l’accord est donné (entrée {index} du registre central).";

    // trust
    TrustAdded = "{jurisdiction} is recognised (registry entry {index}). Every server here follows its registry now.",
        "{jurisdiction} est reconnue (entrée {index} du registre central). Tous les serveurs d’ici suivent désormais son registre.";
    TrustAddedAlready = "{jurisdiction} was recognised so already; nothing was changed.",
        "{jurisdiction} était déjà reconnue ainsi; rien n’a été changé.";
    TrustAlready = "The recognition of {jurisdiction} stood so already; nothing was changed.",
        "La reconnaissance de {jurisdiction} était déjà dans cet état; rien n’a été changé.";
    TrustAsk = "Have the registrar of {jurisdiction} read the hash of its first change to you by telephone, and type it:",
        "Faites-vous lire au téléphone, par le registraire de {jurisdiction}, l’empreinte de son premier changement, et saisissez-la :";
    TrustDiffers = "this is not the first change of {jurisdiction} in that anchor file: nothing was recognised",
        "ce n’est pas le premier changement de {jurisdiction} dans ce fichier d’ancrage : rien n’a été reconnu";
    TrustNone = "No other jurisdiction was ever recognised here.",
        "Aucune autre administration n’a jamais été reconnue ici.";
    TrustResumed = "{jurisdiction} is recognised again (registry entry {index}).",
        "{jurisdiction} est de nouveau reconnue (entrée {index} du registre central).";
    TrustRevoked = "{jurisdiction} is recognised no more (registry entry {index}). Calls across are refused.",
        "{jurisdiction} n’est plus reconnue (entrée {index} du registre central). Les appels qui traversent sont refusés.";
    TrustSuspended = "The recognition of {jurisdiction} is suspended (registry entry {index}). Calls across are refused until `entente trust resume`.",
        "La reconnaissance de {jurisdiction} est suspendue (entrée {index} du registre central). Les appels qui traversent sont refusés jusqu’à `entente trust resume`.";
    TrustUnheld = "{jurisdiction} is not recognised here",
        "{jurisdiction} n’est pas reconnue ici";

    // log
    EntryAsked = "elements asked: {elements}", "éléments demandés : {elements}";
    EntryReceipt = "receipt: entry {index} of {ledger}", "reçu : entrée {index} de {ledger}";
    EntryReleased = "elements permitted: {elements}", "éléments permis : {elements}";
    EntryTransaction = "transaction {transaction}", "transaction {transaction}";
    EntryOf = "agreement {agreement}…", "entente {agreement}…";
    EntryUnder = "agreement {agreement}… clause {clause}", "entente {agreement}… clause {clause}";
    FaultDiffers = "is not what the entries give", "ne correspond pas aux entrées";
    FaultMissing = "is missing", "manque";
    FaultSignature = "is not signed by the ledger's key", "n’est pas signé par la clé du journal";
    FaultUnexpected = "is no file of a ledger", "n’est pas un fichier de journal";
    FaultUnreadable = "cannot be read", "est illisible";
    IntegrityDo = "keep the folder as it is; compare it with the other party's receipts and with witnesses",
        "gardez le dossier tel quel; comparez-le aux reçus de l’autre partie et aux témoins";
    IntegrityFailed = "{dir} is not what was logged: {file}",
        "{dir} n’est pas ce qui a été consigné : {file}";
    KeyGiven = "given with --key", "donnée avec --key";
    KeyOfAnchor = "of the anchor that {file} names", "de l’ancre que nomme {file}";
    KeyOfRecognised = "as {registry} has it, which {home} recognises, verified from the anchor that {file} names",
        "selon {registry}, que {home} reconnaît, vérifié depuis l’ancre que nomme {file}";
    KeyOfRegistry = "as {registry} has it, verified from the anchor that {file} names",
        "selon {registry}, vérifié depuis l’ancre que nomme {file}";
    KeyUnknown = "no word but its own says which key {ledger} must be signed with",
        "rien d’autre que lui-même ne dit quelle clé doit signer {ledger}";
    EraseNothing = "no record of transaction {transaction} is there to be erased",
        "aucune fiche de la transaction {transaction} n’est là pour être effacée";
    ErasePlanned = "another erasure waits for the server’s next start: start it, and stop it, first",
        "un autre effacement attend le prochain démarrage du serveur : démarrez-le, puis arrêtez-le, d’abord";
    EraseRunning = "the server is running: stop it first, then erase",
        "le serveur fonctionne : l’arrêter d’abord, puis effacer";
    EraseWithYes = "Nothing was erased yet. To erase these {count} records for ever, add --yes.",
        "Rien n’est encore effacé. Pour effacer ces {count} fiches à jamais, ajouter --yes.";
    EraseWould = "The sealed records of these entries, by authority of “{authority}”:",
        "Les fiches scellées de ces entrées, sur l’ordre de « {authority} » :";
    BundleBroken = "{file} does not hold: it proves nothing", "{file} ne tient pas : il ne prouve rien";
    BundleDiscloses = "It discloses {count} values of what was exchanged: hand it to nobody who may not read them.",
        "Il communique {count} valeurs de ce qui fut échangé : ne le remettre à personne qui ne puisse les lire.";
    BundleEarly = "the newest checkpoint of {ledger} does not reach this exchange yet; try again in ten seconds",
        "le plus récent point de contrôle de {ledger} n’atteint pas encore cet échange; réessayez dans dix secondes";
    BundleFaulty = "WRONG  {file}: exchange {transaction}; it proves nothing", "FAUX  {file} : échange {transaction}; il ne prouve rien";
    BundleNone = "{file} is no bundle", "{file} n’est pas un dossier de preuve";
    BundleNotKept = "the {field} of this exchange is not kept here, or was shredded",
        "l’élément « {field} » de cet échange n’est pas conservé ici, ou a été détruit";
    BundleNotProven = "Not proven:", "Non prouvé :";
    BundleNothing = "no request of {transaction} is in the ledgers", "aucune demande de {transaction} n’est aux journaux";
    BundleCoherent = "COHERENT  {file}: exchange {transaction}. It holds together; whose keys these are is not shown",
        "COHÉRENT  {file} : échange {transaction}. Tout concorde; à qui sont ces clés n’est pas montré";
    BundleUnbound = "{file} holds together, and anybody could have made it: its keys are not bound by a registry you believe",
        "{file} concorde, et n’importe qui a pu le faire : ses clés ne sont pas liées par un registre auquel vous vous fiez";
    BundleSound = "PROVEN  {file}: exchange {transaction}", "PROUVÉ  {file} : échange {transaction}";
    BundleNoAuthority = "whose time stamps count is not known", "on ne sait pas à qui se fier pour l’horodatage";
    BundleWritten = "{file}: {files} files, sealed by {member}. VERIFY.txt in it says how to verify it with openssl alone.",
        "{file} : {files} fichiers, scellés par {member}. VERIFY.txt, à l’intérieur, dit comment le vérifier avec openssl seul.";
    CompareBeyond = "BEYOND: the other side’s copy ends too early to say",
        "BEYOND : la copie de l’autre partie finit trop tôt pour le dire";
    CompareComplete = "COMPLETE: both sides hold their part", "COMPLETE : chaque partie a sa part";
    CompareConsumerOmitted = "CONSUMER_OMITTED: the provider holds the consumer’s signed request, and the consumer does not",
        "CONSUMER_OMITTED : le fournisseur a la demande signée du consommateur, qui ne l’a pas";
    CompareOmitted = "a side is shown to have dropped an entry", "il est montré qu’une partie a supprimé une entrée";
    CompareOneServer = "{dir} holds ledgers that are not of one registered server", "{dir} contient des journaux qui ne sont pas d’un même serveur inscrit";
    CompareProviderOmitted = "PROVIDER_OMITTED: the consumer holds the provider’s signed answer, and the provider lacks its part",
        "PROVIDER_OMITTED : le consommateur a la réponse signée du fournisseur, à qui manque sa part";
    CompareUnanswered = "UNANSWERED: the answer was lost on the way, or dropped: nothing proves which",
        "UNANSWERED : la réponse s’est perdue en route, ou fut supprimée : rien ne dit laquelle";
    CompareUndelivered = "UNDELIVERED: the request was lost on the way, or dropped unseen: nothing proves which",
        "UNDELIVERED : la demande s’est perdue en route, ou fut supprimée : rien ne dit laquelle";
    GapBypass = "that nothing was looked at outside the security servers",
        "que rien ne fut consulté hors des serveurs de sécurité";
    GapPurpose = "that the stated purpose was the true one", "que la fin déclarée était la vraie";
    GapTogether = "anything against two parties that lie together", "rien contre deux parties qui mentent ensemble";
    ProvenBound = "the registry bound the keys of {server} to it: its entry {index}",
        "le registre a lié à {server} ses clés : son entrée {index}";
    ProvenBundleStamped = "the whole bundle was there by {by}", "le dossier entier existait au plus tard à {by}";
    ProvenCertified = "the member’s certificate stands above the session of {server}",
        "le certificat du membre est au-dessus de la session de {server}";
    ProvenDisclosed = "the disclosed {field} is the one committed to in the {of}",
        "la valeur communiquée ({field}) est celle engagée : {of}";
    ProvenLogged = "{kind} is entry {index} of {ledger}, under its checkpoint over {size} entries",
        "{kind} est l’entrée {index} de {ledger}, sous son point de contrôle sur {size} entrées";
    ProvenPromised = "the provider’s ledger holds the request where its answer promised it: entry {index}",
        "le journal du fournisseur contient la demande là où sa réponse l’a promis : entrée {index}";
    ProvenRecognised = "the registry of {by} recognised that of {jurisdiction}, by the key of its ledger: its entry {index}",
        "le registre de {by} a reconnu celui de {jurisdiction}, par la clé de son journal : son entrée {index}";
    ProvenSealBound = "the registry bound the seal’s key to {member}: its entry {index}",
        "le registre a lié la clé du sceau à {member} : son entrée {index}";
    ProvenSealed = "{member} sealed this bundle, by its own word at {at}", "{member} a scellé ce dossier, selon lui à {at}";
    ProvenSigned = "{server} signed the {kind}, by its own word at {at}", "{server} a signé, selon lui à {at} : {kind}";
    ProvenWitnessed = "{by} cosigned the checkpoint of {ledger} over {size} entries, a quorum by {at}: it was the only one they were shown",
        "{by} ont cosigné le point de contrôle de {ledger} sur {size} entrées, un quorum à {at} : c’est le seul qu’on leur ait montré";
    ProvenStamped = "entry {index} of {ledger} was there by {by}", "l’entrée {index} de {ledger} existait à {by}";
    SealKeyStrange = "the key {key} is no member’s in the directory", "la clé {key} n’est celle d’aucun membre au registre";
    SealKeyUnusable = "the key {key} cannot be used to seal", "la clé {key} ne peut servir à sceller";
    ErasePlannedRecords = "Start the server now: it erases these {count} records as it starts. Their entries and proofs stay.",
        "Démarrez le serveur : il efface ces {count} fiches à son démarrage. Leurs entrées et leurs preuves restent.";
    KeysNotWritten = "the keys could not be written to {file}, which must not exist yet",
        "les clés n’ont pu être écrites dans {file}, qui ne doit pas encore exister";
    KeysUnreadable = "{file} is not a file of a person’s keys", "{file} n’est pas un fichier des clés d’une personne";
    KeysWritten = "{count} keys in {file}. Hand it to the person alone: it tells which entries are about them.",
        "{count} clés dans {file}. Le remettre à la personne seule : il dit quelles entrées la concernent.";
    LookedAnswered = "answered", "répondu";
    LookedAsOf = "as {registry} had it at {size} changes, verified {time}",
        "selon {registry} à {size} changements, vérifié le {time}";
    LookedBulk = "about many persons, not named one by one: perhaps you",
        "vise de nombreuses personnes, non nommées une à une : peut-être vous";
    LookedCollect = "authority to collect: {ground}", "autorisation de recueillir : {ground}";
    LookedComplete = "Complete, as far as the ledgers reach: they were verified whole, and none that the registry names is missing.",
        "Complet, aussi loin que vont les journaux : ils ont été vérifiés en entier, et aucun que nomme le registre ne manque.";
    LookedCount = "{count} exchanges; under withheld notice, {withheld} and {bulk} about many.",
        "{count} échanges; d’avis retenu, {withheld} et {bulk} visant de nombreuses personnes.";
    LookedDisclose = "authority to disclose: {ground}", "autorisation de communiquer : {ground}";
    LookedIncomplete = "NOT COMPLETE: ledgers that the registry names are not here: {missing}",
        "INCOMPLET : des journaux que nomme le registre ne sont pas ici : {missing}";
    LookedIncompleteDo = "give the folder that holds all of the server’s ledgers",
        "donnez le dossier qui contient tous les journaux du serveur";
    LookedOpen = "no answer logged", "aucune réponse consignée";
    LookedShort = "NOT COMPLETE: these ledgers have ended, and the copies are not shown to reach their end: {short}",
        "INCOMPLET : ces journaux ont pris fin, et rien ne montre que les copies vont jusqu’au bout : {short}";
    LookedShortDo = "ask the server’s owner for a copy of each as it was closed",
        "demandez au propriétaire du serveur une copie de chacun tel qu’à sa clôture";
    LookedUnknown = "The ledgers were verified whole. Whether the server has others is not known: no registry at hand names all of them.",
        "Les journaux ont été vérifiés en entier. On ne sait pas si le serveur en a d’autres : aucun registre disponible ne les nomme tous.";
    Reach = "{ledger}: {size} entries, up to {until}; {witnessed}",
        "{ledger} : {size} entrées, jusqu’au {until}; {witnessed}";
    ReachAfter = "{count} entries after its checkpoint are not signed yet, and were not looked at",
        "{count} entrées après son point de contrôle ne sont pas encore signées, et n’ont pas été regardées";
    ReachNobody = "its server alone says so: the policy asks no witnesses",
        "son serveur seul le dit : la politique ne demande aucun témoin";
    ReachPart = "a quorum of witnesses saw the first {size} of them",
        "un quorum de témoins a vu les {size} premières";
    ReachUnknown = "which witnesses count is not known here", "on ne sait pas ici quels témoins comptent";
    ReachUnseen = "no quorum of witnesses saw that", "aucun quorum de témoins ne l’a vu";
    ReachWhole = "a quorum of witnesses saw that", "un quorum de témoins l’a vu";
    SubjectUnreadable = "no identifier could be read: give it on standard input, or in --subject-file",
        "aucun identifiant n’a pu être lu : le donner sur l’entrée standard, ou dans --subject-file";
    LedgerBusy = "the ledger was written to while it was copied, each time; try again, or stop its server",
        "le journal était modifié pendant chaque copie; réessayez, ou arrêtez son serveur";
    LedgerHolds = "{ledger} in {dir}: {shown} of {size} entries",
        "{ledger} dans {dir} : {shown} entrées sur {size}";
    LedgerUnreadable = "the ledger in {dir} cannot be read", "le journal dans {dir} est illisible";
    NoEntry = "entry {index} is no entry of this format", "l’entrée {index} n’est pas de ce format";
    NoLedger = "there is no ledger in {dir}", "il n’y a aucun journal dans {dir}";
    NothingSigned = "no checkpoint yet", "aucun point de contrôle";
    OmissionClaimed = "CLAIMED  {server} promised entry {index} of {ledger} in {transaction}; a checkpoint over {size} entries holds another there. It holds for these keys, whosever they are",
        "ALLÉGUÉ  {server} a promis l’entrée {index} de {ledger} dans {transaction}; un point de contrôle sur {size} entrées en montre une autre. Cela vaut pour ces clés, à qui qu’elles soient";
    OmissionEnded = "CLAIMED  {server} promised entry {index} of {ledger} in {transaction}, and that ledger has only {size} entries. Proven if it ended with them, which its registry knows",
        "ALLÉGUÉ  {server} a promis l’entrée {index} de {ledger} dans {transaction}, et ce journal n’a que {size} entrées. Prouvé s’il finit là, ce que sait son registre";
    OmissionEndedProven = "PROVEN  {server} promised entry {index} of {ledger} in {transaction}; it ended that ledger with {size} entries",
        "PROUVÉ  {server} a promis l’entrée {index} de {ledger} dans {transaction}; il a mis fin à ce journal avec {size} entrées";
    OmissionKeysKnown = "The keys are those that the directory binds to them: server {server_key}, ledger {ledger_key}",
        "Les clés sont celles que le registre leur lie : serveur {server_key}, journal {ledger_key}";
    OmissionKeysUnknown = "Compare the keys with those of the directory: server {server_key}, ledger {ledger_key}",
        "Comparez les clés à celles du registre : serveur {server_key}, journal {ledger_key}";
    OmissionKeysOfOthers = "the registry binds other keys to this server or its ledger: the proof says nothing about it",
        "le registre lie d’autres clés à ce serveur ou à son journal : la preuve ne dit rien de lui";
    OmissionKeysUnsaid = "whose keys these are is not known here: without a registry to ask, nothing is proven",
        "on ne sait pas ici à qui sont ces clés : sans registre à consulter, rien n’est prouvé";
    OmissionNeeds = "a ledger, --transaction and --peer-ledger are needed, or --check",
        "il faut un journal, --transaction et --peer-ledger, ou --check";
    OmissionNoAnswer = "no answer to {transaction} is in the ledger, with the session that signed it",
        "aucune réponse à {transaction} n’est dans le journal, avec la session qui l’a signée";
    OmissionNoLedger = "{ledger} is not there, or its checkpoint does not reach the promised entry",
        "{ledger} n’y est pas, ou son point de contrôle n’atteint pas l’entrée promise";
    OmissionNotEnded = "the registry does not say that this ledger ended at that checkpoint: it may have gone on",
        "le registre ne dit pas que ce journal finit à ce point de contrôle : il peut avoir continué";
    OmissionProven = "PROVEN  {server} promised entry {index} of {ledger} in {transaction}; its own checkpoint over {size} entries holds another there",
        "PROUVÉ  {server} a promis l’entrée {index} de {ledger} dans {transaction}; son propre point de contrôle sur {size} entrées en montre une autre à cette place";
    SaysClose = "end of stream", "fin de flux";
    SaysFault = "fault", "échec";
    SaysProgress = "progress", "progression";
    SaysRequest = "request", "demande";
    SaysResponse = "answer", "réponse";
    SignedInPart = "checkpoint over {size} entries; {count} after it are not signed yet, and prove nothing",
        "point de contrôle sur {size} entrées; {count} après lui ne sont pas encore signées, et ne prouvent rien";
    SignedUpTo = "checkpoint over {size} entries", "point de contrôle sur {size} entrées";
    TornBytes = "{bytes} bytes of an append that was cut off; the next start removes them",
        "{bytes} octets d’un ajout interrompu; le prochain démarrage les enlève";
    RecordAbsent = "record: MISSING, and no SHRED entry says why: a violation",
        "fiche : MANQUANTE, et aucune entrée SHRED ne dit pourquoi : une violation";
    RecordBySidecar = "{standing}; class and term by the sidecar’s word: no agreement at hand says them",
        "{standing}; classe et durée selon le dossier des fiches seul : aucune entente disponible ne les dit";
    RecordEarly = "record: SHREDDED BEFORE ITS TERM by SHRED entry {index} ({class}, {period}, {authority}): a violation",
        "fiche : DÉTRUITE AVANT SON TERME par l’entrée SHRED {index} ({class}, {period}, {authority}) : une violation";
    RecordKeyGone = "record: ITS KEY IS GONE, and no SHRED entry says why: a violation",
        "fiche : SA CLÉ A DISPARU, et aucune entrée SHRED ne dit pourquoi : une violation";
    RecordNotDestroyed = "record: NOT DESTROYED, though SHRED entry {index} says so ({class}, {period}, {authority}); start its server, which finishes that",
        "fiche : NON DÉTRUITE, bien que l’entrée SHRED {index} le dise ({class}, {period}, {authority}); démarrer son serveur, qui achève cela";
    RecordOtherRetention = "record: KEPT AS {held}, though {agreed} was agreed: a violation",
        "fiche : GARDÉE COMME {held}, alors que {agreed} a été convenu : une violation";
    RecordPresent = "record: present", "fiche : présente";
    RecordShredded = "record: shredded by rule (SHRED entry {index}: {class}, {period}, {authority})",
        "fiche : détruite selon la règle (entrée SHRED {index} : {class}, {period}, {authority})";
    RecordsBySidecar = "Of {count} records, class and term are by the sidecar’s word: no agreement at hand says them.",
        "De {count} fiches, classe et durée sont selon le dossier des fiches seul : aucune entente disponible ne les dit.";
    RecordsCounted = "{present} present, {shredded} shredded by rule, {violated} in violation",
        "{present} présentes, {shredded} détruites selon la règle, {violated} en violation";
    RecordsViolated = "sealed records are not as the ledger and its rules say",
        "des fiches scellées ne sont pas comme le disent le journal et ses règles";
    RecordsWithoutKeys = "The key folder is not at hand: whether keys that must be gone are gone was not looked at.",
        "Le dossier des clés n’est pas accessible : on n’a pas regardé si les clés à détruire ont disparu.";
    SidecarUnreadable = "the sidecar in {dir} cannot be read", "le dossier des fiches dans {dir} est illisible";
    StampBackdated = "entry {index} says {at}, but was made after {after}",
        "l’entrée {index} indique {at}, mais a été faite après {after}";
    StampOfOther = "entry {index}: its time stamp is over a size and root that this ledger did not have",
        "entrée {index} : son horodatage porte sur une taille et une racine que ce journal n’avait pas";
    StampPostdated = "entry {index} says {at}, but was there by {before}",
        "l’entrée {index} indique {at}, mais existait déjà à {before}";
    StampRefused = "entry {index}: its time stamp does not hold: {why}",
        "entrée {index} : son horodatage ne tient pas : {why}";
    StampRepeated = "entry {index}: its time stamp is over {size} entries, no more than one before it covered",
        "entrée {index} : son horodatage porte sur {size} entrées, pas plus qu’un précédent";
    StampedUpTo = "time stamps: {tokens}; the first {size} entries were there by {at}",
        "horodatages : {tokens}; les {size} premières entrées existaient à {at}";
    StampsBad = "time stamps: {tokens}; none holds", "horodatages : {tokens}; aucun ne tient";
    StampsUnchecked = "time stamps: {tokens}, whose authority was not checked: --timestamp-roots",
        "horodatages : {tokens}, dont l’autorité n’a pas été vérifiée : --timestamp-roots";
    Unsigned = "{dir} holds {entries} entries and no signed checkpoint: nothing shows who wrote them",
        "{dir} contient {entries} entrées et aucun point de contrôle signé : rien ne montre qui les a écrites";
    UnsignedDo = "a new ledger has one within seconds; of a copy, ask its server for one with log/checkpoint",
        "un nouveau journal en a un en quelques secondes; pour une copie, en demander une avec log/checkpoint à son serveur";
    VerifiedCopy = "A server is writing to it: a copy was checked.",
        "Un serveur y écrit : une copie a été vérifiée.";
    VerifyDamaged = "DAMAGED  {dir}: {entries} entries", "ALTÉRÉ  {dir} : {entries} entrées";
    VerifyProgress = "{percent} %  {done} of {all} entries", "{percent} %  {done} entrées sur {all}";
    VerifyUnsigned = "UNSIGNED  {dir}: {entries} entries, and no signed checkpoint over them",
        "NON SIGNÉ  {dir} : {entries} entrées, sans point de contrôle signé";
    VerifySound = "ok  {dir}: {entries} entries, every byte as it must be",
        "bon  {dir} : {entries} entrées, chaque octet est comme il doit être";

    // witnesses
    HeadOwnWitnesses = "registry’s", "du registre";
    HeadWitnesses = "witnesses", "témoins";
    WitnessesFile = "the file is a policy of witnesses alone, of at most 8 KiB",
        "le fichier est une politique de témoins seulement, d’au plus 8 Kio";
    WitnessesSet = "Change {index}: {count} witnesses, at least {fewest} of them for each checkpoint.",
        "Changement {index} : {count} témoins, au moins {fewest} d’entre eux pour chaque point de contrôle.";

    // config, serve
    AdapterFaulty = "{file} has {count} faults", "{file} a {count} fautes";
    ConfigSound = "ok  {file}: {what}", "bon  {file} : {what}";
    ConfigUnknown = "{file} is none of Entente's files", "{file} n’est pas un fichier d’Entente";
    FileAdapter = "an adapter, its contract and its source", "un adaptateur, son contrat et sa source";
    FileAgreement = "an agreement", "une entente";
    FileAnchor = "a registry's anchor", "l’ancre d’un registre central";
    FileMember = "a member's desk", "le bureau d’un membre";
    FileRegistry = "a registry", "un registre central";
    FileSecurityServer = "a security server", "un serveur de sécurité";
    FileWitness = "a witness", "un témoin";
    NotStarted = "it did not start", "il n’a pas démarré";

    // sandbox
    SandboxFailed = "the sandbox did not start", "le bac à sable n’a pas démarré";
    SandboxForeign = "{dir} holds files that no sandbox made; nothing was touched",
        "{dir} contient des fichiers qu’aucun bac à sable n’a créés; rien n’a été touché";
    SandboxMissing = "there is no sandbox in {dir}", "il n’y a pas de bac à sable dans {dir}";
    SandboxNext = "Try:", "Essayez :";
    SandboxNotUp = "The sandbox in {dir} is not running.",
        "Le bac à sable dans {dir} n’est pas en marche.";
    SandboxReady = "Ready in {seconds} s. Everything is in {dir} and on loopback only.",
        "Prêt en {seconds} s. Tout est dans {dir} et sur la boucle locale seulement.";
    SandboxRuns = "The sandbox in {dir} is running.", "Le bac à sable dans {dir} est en marche.";
    SandboxStays = "process {pid} has not stopped yet", "le processus {pid} ne s’est pas encore arrêté";
    SandboxStopped = "Stopped. Everything is still in {dir}.",
        "Arrêté. Tout est encore dans {dir}.";
    StepAdapter = "{system} answers from an old SQLite database: {people} fictional people, {deaths} deaths",
        "{system} répond d’une vieille base SQLite : {people} personnes fictives, {deaths} décès";
    StepAdmitted = "the registrar compared it and admitted {member}  (registry entry {index})",
        "le registraire l’a comparée et a admis {member}  (entrée {index} du registre central)";
    StepAnswers = "{server} serves peers on {peer}", "{server} sert ses pairs à {peer}";
    StepApplied = "{member} made its keys and applied; fingerprint {fingerprint} …",
        "{member} a créé ses clés et fait sa demande; empreinte {fingerprint} …";
    StepInForce = "{member} signed {name} ({hash}…): all have signed, it is in force",
        "{member} a signé {name} ({hash}…) : tous ont signé, elle est en vigueur";
    StepPublished = "{member} published the contract {service}  (registry entry {index})",
        "{member} a publié le contrat {service}  (entrée {index} du registre central)";
    StepRecognised = "the registrar of {by} compared the fingerprint {fingerprint} … and recognised the registry of {jurisdiction}  (registry entry {index})",
        "le registraire de {by} a comparé l’empreinte {fingerprint} … et reconnu le registre central de {jurisdiction}  (entrée {index} du registre central)";
    StepRecognisedAgain = "the registrar of {by} recognises {jurisdiction} again  (registry entry {index})",
        "le registraire de {by} reconnaît de nouveau {jurisdiction}  (entrée {index} du registre central)";
    StepRegistered = "{server} is registered at {address}  (registry entry {index})",
        "{server} est inscrit à {address}  (entrée {index} du registre central)";
    StepRegistry = "the registry of {jurisdiction} answers at {address}",
        "le registre central de {jurisdiction} répond à {address}";
    StepRevoked = "{member} revoked {name}  (registry entry {index})",
        "{member} a révoqué {name}  (entrée {index} du registre central)";
    StepServes = "{server} serves peers on {peer}, and its own system on {caller}",
        "{server} sert ses pairs à {peer}, et son propre système à {caller}";
    StepSigned = "{member} signed {name} ({hash}…)", "{member} a signé {name} ({hash}…)";
    StepSuspended = "the registrar of {by} suspended the recognition of {jurisdiction}  (registry entry {index})",
        "le registraire de {by} a suspendu la reconnaissance de {jurisdiction}  (entrée {index} du registre central)";

    // demo
    DemoAcross = "A question across", "Une question d’une administration à l’autre";
    DemoAcrossAgain = "the same question is answered again: {answer}",
        "la même question reçoit de nouveau réponse : {answer}";
    DemoAfterRevocation = "the same question, {millis} ms after the revocation",
        "la même question, {millis} ms après la révocation";
    DemoAfterSuspension = "{from} asks {to}, {millis} ms after the suspension",
        "{from} demande à {to}, {millis} ms après la suspension";
    DemoAgain = "both signed the next version, and the same question is answered again: {answer}",
        "les deux ont signé la version suivante, et la même question reçoit de nouveau réponse : {answer}";
    DemoAgreement = "An agreement, signed by both", "Une entente, signée par les deux";
    DemoAgreementSays = "   Pensions may ask whether a death is registered, for PROGRAM_ADMINISTRATION, and learn that and the date.",
        "   Les Rentes peuvent demander si un décès est enregistré, pour PROGRAM_ADMINISTRATION, et apprendre cela et la date.";
    DemoAnswered = "   The answer that came back:", "   La réponse reçue :";
    DemoAsks = "   {from} asks {to}: {method}, for {purpose}",
        "   {from} demande à {to} : {method}, pour {purpose}";
    DemoBetween = "From province to province", "D’une province à l’autre";
    DemoBetweenSays = "   Federal and provincial registrars recognise each other. That makes neither province known to the other.",
        "   Les registraires fédéral et provinciaux se reconnaissent. Cela ne fait connaître aucune province à l’autre.";
    DemoBroken = "the demo stopped: something was not as the next line would have said",
        "la démonstration s’arrête : quelque chose n’était pas comme la ligne suivante l’aurait dit";
    DemoByHand = "Do it yourself", "À vous";
    DemoDone = "Done in {seconds} s. Everything is in {dir}; its README.md says what is where.",
        "Terminé en {seconds} s. Tout est dans {dir}; son README.md dit où est quoi.";
    DemoFlip = "A flipped byte in a copy", "Un octet changé dans une copie";
    DemoFlipped = "   Byte {at} of {file} was changed in {copy}.",
        "   L’octet {at} de {file} a été changé dans {copy}.";
    DemoFound = "found: {file}", "trouvé : {file}";
    DemoGoesOn = "{from} asks {to}, and is answered as before", "{from} demande à {to}, et reçoit réponse comme avant";
    DemoLedgers = "The same exchange in both ledgers", "Le même échange dans les deux journaux";
    DemoNoAgreement = "transport asks the same, and has no agreement",
        "les Transports demandent la même chose, sans entente";
    DemoNotTransitive = "{from} asks {to}, which its own registry does not recognise",
        "{from} demande à {to}, que son propre registre central ne reconnaît pas";
    DemoNothingPersonal = "no entry holds the person's number, the official's or the file's",
        "aucune entrée ne contient le numéro de la personne, ni l’agent, ni le dossier";
    DemoNowAnswered = "now the same question is answered: {answer}", "la même question reçoit maintenant réponse : {answer}";
    DemoProof = "Every ledger, proven from its entries", "Chaque journal, prouvé par ses entrées";
    DemoProvinces = "Two provinces, each with a registry of its own", "Deux provinces, chacune avec son propre registre central";
    DemoProvincesSays = "   Each registry speaks for its own names. Each registrar recognises the other's, for this one service.",
        "   Chaque registre central parle pour ses propres noms. Chaque registraire reconnaît celui de l’autre, pour ce seul service.";
    DemoQuestion = "A question, answered with what was agreed and no more",
        "Une question, à laquelle on répond ce qui est convenu et rien de plus";
    DemoReceipt = "with the provider's signed receipt: {receipt}  (transaction {transaction})",
        "avec le reçu signé du fournisseur : {receipt}  (transaction {transaction})";
    DemoReceiptHolds = "the receipt holds: entry {index} of {ledger} is that request",
        "le reçu tient : l’entrée {index} de {ledger} est cette demande";
    DemoRefusals = "The same question, refused", "La même question, refusée";
    DemoRegistration = "Registration", "Inscription";
    DemoRevocation = "Revoked, and signed anew", "Révoquée, puis signée de nouveau";
    DemoSame = "both sides hold the same signed statements, byte for byte",
        "les deux côtés ont les mêmes déclarations signées, octet pour octet";
    DemoServers = "Security servers", "Serveurs de sécurité";
    DemoSide = "   In the ledger of {member}:", "   Dans le journal de {member} :";
    DemoSides = "   In the ledgers of {one} and {other}:", "   Dans les journaux de {one} et de {other} :";
    DemoStayed = "the contract has these elements too, and none of them crossed: {elements}",
        "le contrat a aussi ces éléments, et aucun n’a été communiqué : {elements}";
    DemoSuspension = "One recognition suspended, the others not", "Une reconnaissance suspendue, les autres non";
    DemoTitle = "Real exchanges: three registries, five agencies, two old databases. All of it here, all fictional.",
        "Des échanges réels : trois registres centraux, cinq organismes, deux vieilles bases. Tout est ici, tout est fictif.";
    DemoVerified = "{ledger}: {entries} entries, root {root}…",
        "{ledger} : {entries} entrées, racine {root}…";
    DemoWrongElement = "pensions asks for death.cause, which no clause releases",
        "les Rentes demandent death.cause, qu’aucune clause ne communique";
    DemoWrongPurpose = "pensions asks for RESEARCH", "les Rentes demandent pour RESEARCH";
    HandAcross = "   Ask across, and see what lets you:",
        "   Demander d’une administration à l’autre, et voir ce qui le permet :";
    HandAlias = "   So that `entente` is this program:", "   Pour que `entente` soit ce programme :";
    HandAsk = "   Ask:", "   Demander :";
    HandDown = "   Stop it:", "   L’arrêter :";
    HandLog = "   Read both ledgers:", "   Lire les deux journaux :";
    HandRefused = "   Be refused (exit code 3), and learn why:",
        "   Être refusé (code 3), et apprendre pourquoi :";
    HandRegistry = "   See who is registered, and how that came about:",
        "   Voir qui est inscrit, et comment :";
    HandRevoke = "   Revoke the agreement, and ask again:", "   Révoquer l’entente, et redemander :";
    HandSign = "   Sign its next version for both parties:",
        "   Signer la version suivante pour les deux parties :";
    HandSuspend = "   Suspend the recognition, be refused, and resume it:",
        "   Suspendre la reconnaissance, être refusé, et la reprendre :";
    HandUp = "   Start it again, in the background:", "   Le redémarrer, en arrière-plan :";
    HandVerify = "   Prove the ledgers, and find the flipped byte (exit code 6):",
        "   Prouver les journaux, et trouver l’octet changé (code 6) :";

    // Other jurisdictions, in doctor and peer trace.
    BondStale = "the registry of {jurisdiction} was last heard {age} ago, and counts for {validity}",
        "le registre central de {jurisdiction} a été entendu il y a {age}, et compte pendant {validity}";
    BondStaleDo = "see whether this network reaches it: `entente trust list` shows it; then tell whoever runs the registry of {jurisdiction}. Calls across are refused with REGISTRY_STALE",
        "voyez si ce réseau l’atteint : `entente trust list` le montre ; prévenez ensuite qui exploite le registre de {jurisdiction}. Les appels entre les deux sont refusés avec REGISTRY_STALE";
    BondStands = "{home} and {jurisdiction} recognise each other; its registry, at {size} changes, was heard {age} ago",
        "{home} et {jurisdiction} se reconnaissent ; son registre central, à {size} changements, a été entendu il y a {age}";
    BondSuspended = "the registrar of {home} suspended the recognition of {jurisdiction}",
        "le registraire de {home} a suspendu la reconnaissance de {jurisdiction}";
    BondSuspendedDo = "ask your registrar, that of {home}; `entente trust resume {jurisdiction}` ends it",
        "demandez à votre registraire, celui de {home} ; `entente trust resume {jurisdiction}` y met fin";
    BondUnrecognised = "the registry of {home} does not recognise that of {jurisdiction}",
        "le registre central de {home} ne reconnaît pas celui de {jurisdiction}";
    BondUnrecognisedDo = "ask your registrar, that of {home}, to recognise {jurisdiction}: entente trust add ANCHOR",
        "demandez à votre registraire, celui de {home}, de reconnaître {jurisdiction} : entente trust add ANCRE";
    BondUnreturned = "the registry of {jurisdiction} does not recognise that of {home}, or suspended that",
        "le registre central de {jurisdiction} ne reconnaît pas celui de {home}, ou a suspendu cela";
    BondUnreturnedDo = "nothing here helps: the registrar of {jurisdiction} recognises {home}, or resumes that",
        "rien ici n’y aide : au registraire de {jurisdiction} de reconnaître {home}, ou de reprendre cela";

    // doctor.
    DoctorAdapterNotServing = "the adapter at {address} answers that it does not serve",
        "l’adaptateur à {address} répond qu’il ne sert pas";
    DoctorAdapterStartDo = "start it: entente serve adapter --config FILE (another place with --listen is not looked at)",
        "démarrez-le : entente serve adapter --config FILE (un autre endroit, par --listen, n’est pas regardé)";
    DoctorAdapterWell = "the adapter answers at {address}", "l’adaptateur répond à {address}";
    DoctorAgreementUnread = "{agreement} is in force, and its text is not in the copy of the registry", "{agreement} est en vigueur, et son texte n’est pas dans la copie du registre central";
    DoctorAgreementUnreadDo = "stop the role, move data/directory away, and start it: everything is fetched again and verified",
        "arrêtez le rôle, retirez data/directory, et redémarrez-le : tout est obtenu de nouveau et vérifié";
    DoctorAnchorDo = "get the registry's anchor file again by a way you trust, and compare its fingerprint by telephone",
        "obtenez de nouveau le fichier d’ancrage du registre central par une voie sûre, et comparez son empreinte par téléphone";
    DoctorChainOther = "the certificates in {path} are not for this server and its key: {why}",
        "les certificats de {path} ne sont pas pour ce serveur et sa clé : {why}";
    DoctorCheckpoint = "everything is signed; the newest checkpoint is {age} old",
        "tout est signé ; le dernier point de contrôle date de {age}";
    DoctorClockAlone = "no time was had from the registry", "aucune heure reçue du registre central";
    DoctorClockAloneDo = "see to the check registry.reachable first", "voyez d’abord la vérification registry.reachable";
    DoctorClockBehind = "the clock is more than 60 s behind the newest entry, of {at}: nothing is signed (CLOCK_OFF)",
        "l’horloge retarde de plus de 60 s sur la dernière entrée, du {at} : rien n’est signé (CLOCK_OFF)";
    DoctorClockDo = "have the clock set by NTP: timedatectl set-ntp true", "faites régler l’horloge par NTP : timedatectl set-ntp true";
    DoctorClockLedger = "not behind the newest entry, of {at}", "ne retarde pas sur la dernière entrée, du {at}";
    DoctorClockRegistry = "{offset} against the registry's", "{offset} par rapport au registre central";
    DoctorConfigBroken = "{fault}", "{fault}";
    DoctorConfigSound = "{file}: {name}", "{file} : {name}";
    DoctorCopyAging = "the copy of the registry is {age} old, of {validity} that the policy allows",
        "la copie du registre central date de {age}, sur {validity} que permet la politique";
    DoctorCopyAtStart = "the copy of the registry is {age} old, of {validity} allowed; the role is down, and hears the registry as it starts",
        "la copie du registre central date de {age}, sur {validity} permis ; le rôle est arrêté, et entendra le registre au démarrage";
    DoctorCopyDamaged = "the copy of the registry in {dir} is damaged, or of another registry",
        "la copie du registre central dans {dir} est abîmée, ou d’un autre registre";
    DoctorCopyDamagedDo = "stop the role, then: {command}; it is fetched again and verified",
        "arrêtez le rôle, puis : {command} ; elle est obtenue de nouveau et vérifiée";
    DoctorCopyDeafDo = "the registry answers, and the role does not hear it: look for registry.lost in its log, and restart it",
        "le registre central répond, et le rôle ne l’entend pas : cherchez registry.lost dans ses messages, et redémarrez-le";
    DoctorCopyFresh = "heard {age} ago, of {validity} that the policy allows", "entendu il y a {age}, sur {validity} que permet la politique";
    DoctorCopyMissing = "there is no copy of the registry yet", "il n’y a pas encore de copie du registre central";
    DoctorCopyMissingDo = "start the role: it fetches and verifies one", "démarrez le rôle : il en obtient et en vérifie une";
    DoctorCopySound = "the copy verifies, {size} changes", "la copie est vérifiée, {size} changements";
    DoctorCopyStale = "the copy of the registry is {age} old, and only {validity} are allowed: nothing is exchanged",
        "la copie du registre central date de {age}, et {validity} seulement sont permis : rien n’est échangé";
    DoctorCopyStaleDo = "reach the registry again before calls end with REGISTRY_STALE: see the check registry.reachable",
        "joignez de nouveau le registre central avant que les appels finissent par REGISTRY_STALE : voyez la vérification registry.reachable";
    DoctorFail = "FAIL", "ÉCHEC";
    DoctorFolderNotYet = "{path} is not there yet", "{path} n’existe pas encore";
    DoctorFolderNotYetDo = "start the role, which makes it; if it was there before, put it back: entente server restore",
        "démarrez le rôle, qui le crée ; s’il existait, remettez-le : entente server restore";
    DoctorForked = "{count} servers signed two ledgers, among them {file}: nothing is exchanged with them",
        "{count} serveurs ont signé deux journaux, dont {file} : rien n’est échangé avec eux";
    DoctorForkedDo = "settle it with the server's operator; then move the file away from data/incidents and restart",
        "réglez-le avec l’exploitant du serveur ; retirez ensuite le fichier de data/incidents et redémarrez";
    DoctorIncident = "shard {shard} began with an incident: {why}", "le segment {shard} a commencé par un incident : {why}";
    DoctorIncidentAskDo = "how much is missing is not known here: ask each peer for its side, and compare with entente log compare",
        "on ne sait pas ici combien il manque : demandez sa part à chaque pair, et comparez par entente log compare";
    DoctorIncidentDo = "entries {from} to {to} of the shard before are missing here: put a copy that has them in its place, or find who holds receipts with entente log compare",
        "les entrées {from} à {to} du segment précédent manquent ici : remettez une copie qui les contient, ou trouvez qui en tient des reçus par entente log compare";
    DoctorIncidents = "{count} files in data/incidents, among them {file}", "{count} fichiers dans data/incidents, dont {file}";
    DoctorIncidentsDo = "read it (entente log prove-omission --check FILE for a broken promise), settle it with the server's operator, and move the file away",
        "lisez-le (entente log prove-omission --check FILE pour une promesse rompue), réglez-le avec l’exploitant du serveur, et retirez le fichier";
    DoctorKeyEnded = "{key} ({id}) was replaced or revoked in the registry on {at}",
        "{key} ({id}) a été remplacée ou révoquée au registre central le {at}";
    DoctorKeyMissing = "{key} is missing in {folder}", "{key} manque dans {folder}";
    DoctorKeyMissingDo = "put the registered key back into {folder} from the copy kept offline; without one, the member registers another server: entente server register",
        "remettez la clé inscrite dans {folder} depuis la copie gardée hors ligne ; sans elle, le membre inscrit un autre serveur : entente server register";
    DoctorKeySound = "{key} ({id}) is in force", "{key} ({id}) est en vigueur";
    DoctorKeyUnasked = "{key} ({id}) is there; whether it is in force was not learnt", "{key} ({id}) est là ; on n’a pas su si elle est en vigueur";
    DoctorKeyUnlisted = "{key} ({id}) is not the one that is registered", "{key} ({id}) n’est pas celle qui est inscrite";
    DoctorKeyUnusable = "{key} cannot be used: {why}", "{key} ne peut servir : {why}";
    DoctorKeysOpen = "the key folder {folder} is open to others", "le dossier des clés {folder} est ouvert à d’autres";
    DoctorKeysUnread = "the key folder {folder} cannot be used: {why}", "le dossier des clés {folder} ne peut servir : {why}";
    DoctorLedgerAbsent = "{ledger}: the registry names it, and nothing of it is here", "{ledger} : le registre central le nomme, et rien n’en est ici";
    DoctorLedgerAbsentDo = "put a copy back (entente server restore); otherwise the next start opens a new shard, and says that this one was lost",
        "remettez une copie (entente server restore) ; sinon le prochain démarrage ouvre un nouveau segment, et dit que celui-ci a été perdu";
    DoctorLedgerDamaged = "{ledger}: not as it was written, {file}", "{ledger} : non conforme à ce qui a été écrit, {file}";
    DoctorLedgerDamagedDo = "keep {dir} as it is, for evidence; put a sound copy in its place (entente server restore)",
        "gardez {dir} tel quel, comme preuve ; mettez une copie saine à sa place (entente server restore)";
    DoctorLedgerEarlierDo = "put a copy of this earlier shard back: what was promised in it can be asked for",
        "remettez une copie de ce segment antérieur : ce qui y a été promis peut être demandé";
    DoctorLedgerKeyless = "{ledger}: not checked; the registry, which knows its key, does not answer",
        "{ledger} : non vérifié ; le registre central, qui connaît sa clé, ne répond pas";
    DoctorLedgerLarge = "{ledger}: {entries} entries, as signed; every byte with entente log verify",
        "{ledger} : {entries} entrées, telles que signées ; chaque octet par entente log verify";
    DoctorLedgerNone = "there is no ledger yet", "il n’y a pas encore de journal";
    DoctorLedgerNoneDo = "start the role, which begins it", "démarrez le rôle, qui le commence";
    DoctorLedgerSound = "{ledger}: {entries} entries, every byte as it must be", "{ledger} : {entries} entrées, chaque octet tel qu’il doit être";
    DoctorLedgerUnknown = "{ledger}: not checked, {why}", "{ledger} : non vérifié, {why}";
    DoctorNoFile = "{path} is not a file", "{path} n’est pas un fichier";
    DoctorNoFolder = "{path} is not a folder", "{path} n’est pas un dossier";
    DoctorNoIncidents = "nothing is kept against peers", "rien n’est retenu contre des pairs";
    DoctorNoPeers = "no agreement in force, so nobody to reach", "aucune entente en vigueur, donc personne à joindre";
    DoctorNoRole = "{file} is not the file of a security server, a registry or an adapter",
        "{file} n’est pas le fichier d’un serveur de sécurité, d’un registre central ni d’un adaptateur";
    DoctorNoSystems = "no system behind this server answers others", "aucun système derrière ce serveur ne répond aux autres";
    DoctorNoWitnesses = "the policy asks for no witnesses", "la politique ne demande pas de témoins";
    DoctorOk = "OK", "OK";
    DoctorPathMissing = "{path} is missing", "{path} manque";
    DoctorPathMissingDo = "put {path} in its place, or correct the path in the configuration", "remettez {path} à sa place, ou corrigez le chemin dans la configuration";
    DoctorPathOpen = "{path} is open to others: mode {mode}", "{path} est ouvert à d’autres : mode {mode}";
    DoctorPathOwner = "{path} is another user's than {folder}", "{path} n’est pas au même utilisateur que {folder}";
    DoctorPathUnreadable = "{path} cannot be read: {why}", "{path} ne peut être lu : {why}";
    DoctorPathUnreadableDo = "ask as the account of the role: sudo -u entente entente doctor", "demandez avec le compte du rôle : sudo -u entente entente doctor";
    DoctorPathsSound = "{count} paths are there, and private where they must be", "{count} chemins sont là, et privés où ils doivent l’être";
    DoctorPeerOtherKey = "{server} at {address} shows a key that is not registered for it ({agreement})",
        "{server} à {address} montre une clé qui n’est pas inscrite pour lui ({agreement})";
    DoctorPeerOtherKeyDo = "ask {member} which server is at that address: its address or its key in the registry is wrong, or somebody stands in between ({server})",
        "demandez à {member} quel serveur est à cette adresse : son adresse ou sa clé au registre est fausse, ou quelqu’un s’interpose ({server})";
    DoctorPeerUnreached = "{server} at {address} does not answer ({agreement}): {why}", "{server} à {address} ne répond pas ({agreement}) : {why}";
    DoctorPeerUnreachedDo = "see whether this network lets it through; then ask {member} whether {server} runs",
        "voyez si ce réseau laisse passer ; demandez ensuite à {member} si {server} fonctionne";
    DoctorPeerUnserved = "no server may sign for {system}, which an agreement in force names", "aucun serveur ne peut signer pour {system}, que nomme une entente en vigueur";
    DoctorPeerUnservedDo = "ask {member} to register it: entente server update SERVER --system SYSTEM", "demandez à {member} de l’inscrire : entente server update SERVER --system SYSTEM";
    DoctorPeersLeft = "{count} further servers were not asked", "{count} autres serveurs n’ont pas été joints";
    DoctorPeersLeftDo = "ask for one of them: entente peer trace SERVER", "demandez-en un : entente peer trace SERVER";
    DoctorPeersReached = "{sound} of {count} servers accept connections with their registered key",
        "{sound} serveurs sur {count} acceptent des connexions avec leur clé inscrite";
    DoctorRegistryAlarm = "the registry showed something that cannot be ({kind})", "le registre central a montré quelque chose d’impossible ({kind})";
    DoctorRegistryAlarmDo = "keep data/directory/evidence, go on with the copy, and call the registrar and the witnesses",
        "gardez data/directory/evidence, continuez avec la copie, et appelez le registraire et les témoins";
    DoctorRegistryOtherKey = "whoever answers at {address} does not hold a key of the anchor", "qui répond à {address} n’a aucune clé de l’ancrage";
    DoctorRegistryReached = "{address} answers with its key, {group}", "{address} répond avec sa clé, {group}";
    DoctorRegistryStartDo = "start it: entente serve registry --config FILE", "démarrez-le : entente serve registry --config FILE";
    DoctorRegistryUnreachedDo = "see whether this network lets {address} through, then ask the registrar; exchange goes on from the own copy meanwhile",
        "voyez si ce réseau laisse passer {address}, puis demandez au registraire ; l’échange continue entre-temps avec la copie";
    DoctorServerUnknown = "the registry does not know {server}", "le registre central ne connaît pas {server}";
    DoctorSessionDo = "start the server anew: it begins another session; then look for session.not_certified in its log",
        "redémarrez le serveur : il commence une autre session ; cherchez ensuite session.not_certified dans ses messages";
    DoctorSessionOver = "the newest session ended on {at}, and the server did not begin another", "la dernière session a pris fin le {at}, et le serveur n’en a pas commencé d’autre";
    DoctorSessionRevoked = "the newest session, of {at}, was revoked", "la dernière session, du {at}, a été révoquée";
    DoctorSessionSound = "the newest session ends on {at}", "la dernière session prend fin le {at}";
    DoctorSpace = "{free} ({percent} %) left where {path} is", "{free} ({percent} %) restent où se trouve {path}";
    DoctorSpaceDo = "make room, or move the data to a larger disk: when it is full, calls end with LOG_UNAVAILABLE",
        "faites de la place, ou déplacez les données : quand le disque est plein, les appels finissent par LOG_UNAVAILABLE";
    DoctorStampOff = "{url} has another time, by {seconds} s", "{url} a une autre heure, de {seconds} s";
    DoctorStampRefused = "{url} gives no token that counts: {why}", "{url} ne donne aucun jeton valable : {why}";
    DoctorStampRefusedDo = "get the authority's roots and policy again, and correct timestamp.roots and timestamp.policy",
        "obtenez de nouveau les racines et la politique de l’autorité, et corrigez timestamp.roots et timestamp.policy";
    DoctorStampSilent = "{url} does not answer: {why}", "{url} ne répond pas : {why}";
    DoctorStampSilentDo = "see whether this network lets the authority through, or name another in timestamp.url",
        "voyez si ce réseau laisse passer l’autorité, ou nommez-en une autre dans timestamp.url";
    DoctorStampSound = "{url} stamps, with a time that is ours", "{url} horodate, à une heure qui est la nôtre";
    DoctorSum = "{checks} checks; warnings: {warnings}, failures: {failures}. Nothing was changed.",
        "{checks} vérifications ; avertissements : {warnings}, échecs : {failures}. Rien n’a été modifié.";
    DoctorSystemAway = "{system} ({mode}) does not answer at {address}: {why}", "{system} ({mode}) ne répond pas à {address} : {why}";
    DoctorSystemAwayDo = "start the system or its adapter (entente serve adapter --config FILE), or correct its address in the configuration",
        "démarrez le système ou son adaptateur (entente serve adapter --config FILE), ou corrigez son adresse dans la configuration";
    DoctorSystemNotServing = "{system} ({mode}) answers at {address} that it does not serve", "{system} ({mode}) répond à {address} qu’il ne sert pas";
    DoctorSystemNotServingDo = "see to its source: entente doctor -c FILE with the adapter's file says what is wrong",
        "voyez sa source : entente doctor -c FILE avec le fichier de l’adaptateur dit ce qui ne va pas";
    DoctorSystemToken = "{system} ({mode}) at {address} is not given its token: {why}", "{system} ({mode}) à {address} ne reçoit pas son jeton : {why}";
    DoctorSystemTokenDo = "give both the same private file: here in the configuration, there with --token FILE",
        "donnez aux deux le même fichier privé : ici dans la configuration, là par --token FILE";
    DoctorSystemWell = "{system} ({mode}) answers at {address}", "{system} ({mode}) répond à {address}";
    DoctorUnreached = "{address} does not answer: {why}", "{address} ne répond pas : {why}";
    DoctorUnsigned = "{count} entries are not signed; the newest checkpoint is {age} old", "{count} entrées ne sont pas signées ; le dernier point de contrôle date de {age}";
    DoctorUnsignedDo = "see in the role's log why no checkpoint is signed: journalctl -u entente@security-server",
        "voyez dans les messages du rôle pourquoi aucun point de contrôle n’est signé : journalctl -u entente@security-server";
    DoctorUnsignedStartDo = "start the role: it signs them first", "démarrez le rôle : il les signe d’abord";
    DoctorUnwitnessed = "a quorum of witnesses saw the ledger {age} ago, of {within} allowed", "un quorum de témoins a vu le journal il y a {age}, sur {within} permis";
    DoctorUnwitnessedDo = "witness.no_cosignature in the role's log says which witness is silent and why: call whoever runs it; a role that is down starts once they answer",
        "witness.no_cosignature dans les messages du rôle dit quel témoin se tait et pourquoi : appelez qui l’exploite ; un rôle arrêté démarre dès qu’ils répondent";
    DoctorWarn = "WARN", "AVIS";
    DoctorWitnessed = "a quorum of witnesses saw the ledger {age} ago, of {within} allowed", "un quorum de témoins a vu le journal il y a {age}, sur {within} permis";
    NoRoleFile = "there is no security-server.yaml or registry.yaml in this folder", "il n’y a ni security-server.yaml ni registry.yaml dans ce dossier";

    // status.
    HeadCalls = "calls", "appels";
    StatusAgreements = "{active} in force, {ending} end within 30 days", "{active} en vigueur, {ending} prennent fin d’ici 30 jours";
    StatusCalls = "{flying} in flight, {answered} answered, {refused} refused since the start", "{flying} en cours, {answered} répondus, {refused} refusés depuis le démarrage";
    StatusEnds = "{agreement} ends on {at}", "{agreement} prend fin le {at}";
    StatusLedger = "{name}: {size} entries, newest checkpoint {age} ago", "{name} : {size} entrées, dernier point de contrôle il y a {age}";
    StatusNoAdmin = "{file} names no admin port to ask", "{file} ne nomme aucun port d’administration à interroger";
    StatusNoRole = "{file} is not the file of a security server or a registry", "{file} n’est pas le fichier d’un serveur de sécurité ni d’un registre central";
    StatusNotReady = "not ready", "pas prêt";
    StatusOther = "another role answers at {address}", "un autre rôle répond à {address}";
    StatusRecognised = "{jurisdiction}, heard {age} ago", "{jurisdiction}, entendu il y a {age}";
    StatusRegistry = "{size} changes, heard {age} ago, good for {left} more", "{size} changements, entendu il y a {age}, valable encore {left}";
    StatusSilent = "{role} does not answer at its admin port {address}: it is not running", "{role} ne répond pas à son port d’administration {address} : il ne fonctionne pas";
    StatusSince = "{version}, since {since}", "{version}, depuis le {since}";

    // server backup and restore.
    BackupAnotherDo = "take another backup: a whole one of this server has a file BACKUP, which names every file",
        "prenez une autre sauvegarde : une sauvegarde entière de ce serveur a un fichier BACKUP, qui nomme chaque fichier";
    BackupBusyDo = "try again when fewer calls come, or stop the server for as long as it takes", "réessayez quand il vient moins d’appels, ou arrêtez le serveur le temps qu’il faut";
    BackupDiffers = "{path} is missing from the backup, or altered: nothing was put back", "{path} manque dans la sauvegarde, ou y est altéré : rien n’a été remis";
    BackupFetched = "fetched again from the registry", "obtenu de nouveau du registre central";
    BackupKeysAside = "private keys are kept apart, offline (--with-keys copies them)", "les clés privées se gardent à part, hors ligne (--with-keys les copie)";
    BackupLeftOut = "left out: {name}, {why}", "laissé de côté : {name}, {why}";
    BackupMade = "{to}: {files} files, {bytes} bytes, verified", "{to} : {files} fichiers, {bytes} octets, vérifiés";
    BackupNoKek = "a copy of the keys that wrap openings would undo their destruction", "une copie des clés qui enveloppent les ouvertures annulerait leur destruction";
    BackupNoKeys = "the backup holds no keys", "la sauvegarde ne contient pas de clés";
    BackupNoKeysDo = "put the keys back from where they are kept offline, and leave --with-keys out", "remettez les clés depuis l’endroit où elles sont gardées hors ligne, sans --with-keys";
    BackupNoMark = "it says how far the ledger was signed, and must not grow older", "il dit jusqu’où le journal a été signé, et ne doit pas vieillir";
    BackupNone = "{path} is no whole backup", "{path} n’est pas une sauvegarde entière";
    BackupOccupied = "{path} is not empty, and nothing is ever replaced", "{path} n’est pas vide, et rien n’est jamais remplacé";
    BackupOther = "the backup is of {found}, not of {expected}", "la sauvegarde est de {found}, non de {expected}";
    BackupRebuilt = "rebuilt from the ledger", "reconstruit depuis le journal";
    BackupShard = "{shard}: {entries} entries, {signed} of them signed", "{shard} : {entries} entrées, dont {signed} signées";
    BackupUnknownDo = "reach the registry, which knows every shard's key: entente doctor registry", "joignez le registre central, qui connaît la clé de chaque segment : entente doctor registry";
    RestoreDone = "{server}: what was backed up at {at} is in {data}", "{server} : ce qui a été sauvegardé le {at} est dans {data}";
    RestoreRunning = "{server} is running", "{server} fonctionne";
    RestoreShard = "At its start the server opens a new shard, and says there what happened, unless nothing can have been written since. Then:",
        "Au démarrage le serveur ouvre un nouveau segment et y dit ce qui s’est passé, sauf si rien n’a pu être écrit depuis. Ensuite :";

    // config show.
    OriginDefault = "default", "par défaut";
    OriginEnvironment = "environment, {variable}", "environnement, {variable}";
    OriginFlag = "flag, {flag}", "option, {flag}";

    // peer trace.
    TraceAddressDo = "see whether this machine's resolver knows the name; then ask {member} to register another: entente server update",
        "voyez si le résolveur de cette machine connaît le nom ; demandez ensuite à {member} d’en inscrire un autre : entente server update";
    TraceAwayDo = "see whether this network lets the connection through; then ask {member} whether the server runs",
        "voyez si ce réseau laisse passer la connexion ; demandez ensuite à {member} si le serveur fonctionne";
    TraceCheckpoint = "{size} entries, proven here {age} ago", "{size} entrées, prouvées ici il y a {age}";
    TraceConnected = "connected", "connecté";
    TraceKeyDo = "ask {member} which server is at that address: its address or its key in the registry is wrong, or somebody stands in between",
        "demandez à {member} quel serveur est à cette adresse : son adresse ou sa clé au registre est fausse, ou quelqu’un s’interpose";
    TraceLimited = "the recognition does not extend to {member}", "la reconnaissance ne s’étend pas à {member}";
    TraceLimitedDo = "entente trust list says how far it goes; your registrar can say otherwise",
        "entente trust list dit jusqu’où elle va ; votre registraire peut en décider autrement";
    TraceName = "{name} is at {server}", "{name} est chez {server}";
    TraceNear = "perhaps {name}?", "peut-être {name} ?";
    TraceNoAgreement = "no agreement joins a system of this server with it", "aucune entente ne relie un système de ce serveur à lui";
    TraceNoAgreementDo = "entente agreement list says what is signed; a steward proposes what is missing: entente agreement sign FILE",
        "entente agreement list dit ce qui est signé ; un gardien propose ce qui manque : entente agreement sign FILE";
    TraceNoCheckpoint = "none was proven here yet: promises are checked every ten minutes", "aucun n’a encore été prouvé ici : les promesses sont vérifiées toutes les dix minutes";
    TraceNoName = "the registry does not know {name}", "le registre central ne connaît pas {name}";
    TraceNoProtocol = "no protocol version in common from {floor} on, or no suite that the policy allows", "aucune version de protocole commune à partir de {floor}, ou aucune suite que permet la politique";
    TraceNoTls = "no TLS as peers speak it: {why}", "pas de TLS comme les pairs le parlent : {why}";
    TraceNotActive = "{state}", "{state}";
    TraceNotRecognised = "the recognition does not extend to {service}", "la reconnaissance ne s’étend pas à {service}";
    TraceOtherKey = "the key shown is not registered for {server}", "la clé montrée n’est pas inscrite pour {server}";
    TraceOtherMethod = "permits only {methods}", "ne permet que {methods}";
    TraceProtocol = "version {version}, {suite}", "version {version}, {suite}";
    TraceRegistry = "{origin}, {size} changes", "{origin}, {size} changements";
    TraceServer = "{keys} TLS keys in force, ledger {ledger}", "{keys} clés TLS en vigueur, journal {ledger}";
    TraceServerDo = "ask {member} to start the server once, or to register it whole", "demandez à {member} de démarrer le serveur une fois, ou de l’inscrire entièrement";
    TraceSkipped = "not reached", "non atteint";
    TraceSuspended = "{member} is suspended, or its membership ended", "{member} est suspendu, ou n’est plus membre";
    TraceSuspendedDo = "ask the registrar of its jurisdiction", "demandez au registraire de sa juridiction";
    TraceTls = "{group}, key {key}… as registered", "{group}, clé {key}… telle qu’inscrite";
    TraceUnsigned = "not signed by {members}", "non signée par {members}";
}
