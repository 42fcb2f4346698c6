"""The Norwegian words of the demo."""

from fhirmedia.demo.words import Language, Words

LANGUAGE = Language(
    tag="nb",
    history="Sykehistorie",
    findings="Undersøkelse og funn",
    assessment="Vurdering",
    plan="Tiltak og plan",
    greeting="Takk for henvisningen. Bildene ligger i det regionale mediearkivet og kan åpnes direkte i journalen.",
    synthetic="Syntetisk dokument til demonstrasjon. Personen og nummeret er oppdiktet.",
    external_study="Bildene finnes i regionens PACS.",
    patient_sent="Bilde tatt og sendt inn av pasienten, ennå ikke vurdert.",
    views=("Oversikt", "Nærbilde", "Detalj"),
    words={
        "lesion": Words(
            "Kontroll av pigmentert lesjon",
            (
                "Velavgrenset lysebrun lesjon på {site}, symmetrisk. Utgangsbilde for oppfølging.",
                "Uendret form, noe mørkere sentralt. Nytt bilde om tre måneder.",
                "Lesjonen på {site} har vokst siden forrige besøk. Uregelmessig kant og to fargetoner.",
                "Tydelig vekst, asymmetri og blåhvitt slør ved dermatoskopi. Eksideres med 2 mm margin.",
            ),
            "Pasienten har i omtrent et år hatt en pigmentert lesjon på {site} som pårørende synes har endret "
            "seg. Ingen "
            "kløe, ingen blødning. Ingen tidligere hudkreft, en tante har hatt malignt melanom.",
            "Hudtype II. På {site} sees en pigmentert lesjon med uregelmessig kant. Dermatoskopisk atypisk nettverk, "
            "perifere globuli og strukturløse områder. Ingen palpable lymfeknuter.",
            "Eksisjon i lokalbedøvelse, preparatet sendes til patolog. Ny fotografering av øvrige føflekker om "
            "seks måneder.",
            "Dysplastisk nevus, fullstendig fjernet. Ingen malignitet.",
        ),
        "ulcer": Words(
            "Sår som ikke gror",
            (
                "Sår på {site} med svart nekrose og gulbelagt bunn. Kraftig rødme i huden rundt.",
                "Mindre nekrose etter revisjon, fibrinbelegg igjen. Oppbløtt sårkant, moderat væsking.",
                "Rød granulerende sårbunn, mindre areal. Ingen tegn til infeksjon. Kompresjon fortsetter.",
                "Såret på {site} nesten grodd, ny epitelkant rundt hele. Sjeldnere sårstell.",
            ),
            "Pasient med type 2-diabetes og venøs insuffisiens. Sår på {site} i fire måneder til tross for stell "
            "to ganger i "
            "uken. Ankeltrykk 0,86. Smertene forstyrrer søvnen.",
            "Sår på {site}, etter linjal 41 × 28 mm. Bunnen halvt fibrinbelagt, ellers granulerende. Ingen "
            "kontakt med bein "
            "ved sondering. Svake, men palpable pulser.",
            "Revisjon av fibrin, absorberende bandasje, kompresjon i to lag. Fotografering med linjal hver uke.",
            "Venøst leggsår i bedring, arealet er redusert med mer enn halvparten.",
        ),
        "burn": Words(
            "Brannskade",
            (
                "Dag 1: delhudsskade på {site}, våt rød flate med blemmer og lysere partier.",
                "Blemmer fjernet, rødmen avtar. Sølvbandasje skiftes annenhver dag.",
                "Tørr flate med gjenværende skorpe. Epitelisering fra kantene.",
                "Grodd, rosa og jevn hud på {site}. Silikonbehandling startes.",
            ),
            "Skåldet på {site} av varmt vann hjemme. Kjølt i ti minutter med lunkent vann. Stivkrampevaksine i orden.",
            "Utbredelse cirka 3 prosent av kroppsflaten, overfladisk til dyp delhudsskade. Sirkulasjon og "
            "følelse distalt normal.",
            "Konservativ behandling, kontroll av dybde dag 3. Bevegelsestrening hos fysioterapeut.",
            "Overfladisk delhudsskade, grodd uten transplantasjon.",
        ),
        "rash": Words(
            "Utslett",
            (
                "Velavgrensede skjellende plakk på {site}. Ubehandlet.",
                "Tynnere plakk etter fire ukers lokalbehandling. Mindre skjelling.",
                "Nesten borte, lett rødme igjen på {site}.",
            ),
            "Kløende, skjellende utslett på {site} i tre måneder. Har prøvd fuktighetskrem uten virkning. Far "
            "med psoriasis.",
            "Flere skarpt avgrensede erytematøse plakk med sølvhvit skjelling på {site}. Negler normale, ingen "
            "leddplager.",
            "Kalsipotriol og betametason en gang daglig i fire uker, deretter nedtrapping. Nye bilder ved kontroll.",
            "Plakkpsoriasis av moderat grad med god effekt av behandling.",
        ),
        "fundus": Words(
            "Øyebunnsfotografering ved diabetes",
            (
                "Øyebunnsbilde uten diabetesforandringer.",
                "Enkelte mikroaneurismer, makula ikke påvirket.",
                "Økende blødninger og harde eksudater. Henvises til vurdering av laserbehandling.",
            ),
            "Type 2-diabetes i elleve år, siste HbA1c 64. Innkalt til øyebunnsfotografering etter program.",
            "Synsstyrke 0,9 på begge øyne. Skarpt avgrensede papiller. Mikroaneurismer og spredte blødninger "
            "temporalt, tørr makula.",
            "Ny fotografering om tolv måneder. Kontroll av blodtrykk og blodsukker hos fastlege.",
            "Moderat ikke-proliferativ retinopati, ikke makulaødem.",
        ),
        "ear": Words(
            "Øreplager",
            (
                "Rød, buktende trommehinne. Akutt mellomørebetennelse.",
                "Avtagende rødme, fortsatt væske bak trommehinnen.",
                "Perlegrå trommehinne med lysrefleks. Frisk.",
            ),
            "Feber og øreverk i to døgn etter en ukes forkjølelse. Tredje episode i vinter.",
            "Otoskopi: rød og buktende trommehinne uten perforasjon. Fri øregang. Motsatt øre normalt.",
            "Fenoksymetylpenicillin i fem dager. Kontroll av trommehinnen med bilde om tre måneder.",
            "Akutt otitt som er gått over, normal hørsel.",
        ),
        "eye": Words(
            "Rødt øye",
            (
                "Kraftig injisert bindehinne, blank hornhinne.",
                "Mindre rødme under behandling.",
                "Reaksjonsløst øye, rolige forhold.",
            ),
            "Rødt, lysømfintlig øye i tre dager. Ingen skade. Bruker ikke kontaktlinser.",
            "Spaltelampe: blandet injeksjon, enkelte celler i forkammeret. Trykk 14 mmHg. Rund pupill som reagerer.",
            "Kortisondråper i nedtrapping, kontroll med bilde om en uke.",
            "Fremre uveitt i tilbakegang.",
        ),
        "bowel": Words(
            "Koloskopi",
            (
                "Uttalt betennelse med kontaktblødning i kolon.",
                "Moderat rødme, kartegningen delvis tilbake.",
                "Glatt slimhinne med normale folder. Biopsier tatt.",
            ),
            "Blodig diaré i seks uker, vekttap 4 kg. F-kalprotektin 1 850. Ingen reiser.",
            "Skopet føres til terminale ileum. Sammenhengende betennelse fra rektum til venstre fleksur. En 6 mm "
            "polypp i "
            "sigmoideum fjernes med slynge.",
            "Mesalazin peroralt og lokalt. Ny endoskopi etter tre måneder.",
            "Ulcerøs kolitt, venstresidig, i bedring. Adenom fjernet i sin helhet.",
        ),
        "hand": Words(
            "Håndskade",
            (
                "Hevelse ulnart over {site}, redusert gripestyrke. Bilde før gipsing.",
                "Gips fjernet, tilheling pågår. Lett feilstilling aksepteres.",
                "Tilhelet brudd, full bevegelighet.",
            ),
            "Slo hånden mot en dørkarm i går kveld. Smerter og hevelse over femte mellomhåndsbein.",
            "Hevelse og trykkømhet, ingen rotasjonsfeil. Følelse og sirkulasjon normal.",
            "Gipsskinne i fire uker, tidlig fingertrening. Røntgenkontroll etter en uke.",
            "Subkapitalt brudd i metakarp V med 25 graders vinkling, konservativ behandling.",
        ),
        "heart": Words(
            "Hjerteauskultasjon",
            (
                "Systolisk bilyd grad 3 over aortaostiet, utstråling mot halsen.",
                "Uendret bilyd ved kontroll.",
                "Svakere bilyd etter behandling. Regelmessig rytme.",
            ),
            "Henvises på grunn av nyoppdaget bilyd og økende tungpust i trapper. Ingen besvimelser.",
            "Opptak med elektronisk stetoskop i fire posisjoner. Blodtrykk 142/78, puls 72 regelmessig. Ingen ødemer.",
            "Ekkokardiografi innen fire uker. Sammenlignes med opptaket ved neste besøk.",
            "Moderat aortastenose, årlig kontroll.",
        ),
        "gait": Words(
            "Ganganalyse under rehabilitering",
            (
                "Uttalt halting, kort standfase på den syke siden. Går med staver før filmingen.",
                "Jevnere steglengde, fortsatt redusert knefleksjon i svingfasen.",
                "Økt ganghastighet. Lett svai i overkroppen består.",
                "Nesten symmetrisk gangmønster. Målene for rehabiliteringen er nådd.",
            ),
            "Gjennomgått hjerneslag med svakhet i ett bein. Starter intensiv gangtrening tre ganger i uken.",
            "Filmet fra siden på gangbane med leddmarkører. Ganghastighet, steglengde og belastningstid måles "
            "ved hvert besøk.",
            "Fortsatt styrke- og balansetrening. Ny film om tre uker i samme vinkel til sammenligning side om side.",
            "God bedring av gangfunksjonen, hastigheten er mer enn doblet.",
        ),
        "ultrasound": Words(
            "Ultralydundersøkelse",
            (
                "Cystisk forandring med glatt vegg. Kontroll om åtte uker.",
                "Mindre størrelse, ingen solide partier.",
            ),
            "Uregelmessige blødninger og trykk nederst i magen i to måneder.",
            "To ekkotomme, glattveggede cyster uten skillevegger. Ingen fri væske. Endometriet 6 mm.",
            "Ny ultralyd om åtte uker. Tumormarkører tas ved vedvarende funn.",
            "Funksjonelle cyster, trolig spontan tilbakegang.",
        ),
        "radiology": Words(
            "Røntgenundersøkelse",
            ("Undersøkt etter standardprotokoll.",),
            "Problemstilling etter henvisning: smerter etter fall, brudd?",
            "Ikke sikkert brudd eller feilstilling. Moderate degenerative forandringer.",
            "Ingen videre bildediagnostikk planlagt.",
            "Ingen akutte skjelettforandringer.",
        ),
    },
)
